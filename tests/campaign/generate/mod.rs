//! Databases that nobody wrote: random histories of 20 to 200 statements over the grammar of DDL, each a database that is backed up, drilled and restored
//! in three ways, under judges that share no code with the drill. A round is one database; the majors take turns. What the server refuses is left out of
//! the history; what fails is shrunk and printed.

mod alter;
mod code;
pub mod history;
mod maker;
mod rights;
mod rounds;
mod rows;
mod state;
mod tables;
mod things;
mod values;

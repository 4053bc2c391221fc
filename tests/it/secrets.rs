//! Secrets and people: passwords, rows and what else was planted is searched for in everything that a run leaves, says and shows.

mod process;

//! Telling people: what happened to a target, sent to the receivers of `BACKUP_NOTIFY`.
//! It owns what is worth a message (`decide`), its words (`message`), its form for each kind of receiver (`request`), and the sending, on threads of its
//! own (`post`); it leaves URLs to `receiver` and how a target stands to `status`.
//! Invariant: nothing here fails, delays or stops a run; a message is remembered as told only after its receiver took it.

pub mod decide;
pub mod message;
pub mod observe;
pub mod post;
pub mod request;
pub mod send;
pub mod smtp;
mod standing;

pub use decide::Memory;
pub use post::Post;
pub use standing::{Standing, standings};

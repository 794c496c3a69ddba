//! Who is asking, and what they may.

mod user;

pub use user::UserInfo;

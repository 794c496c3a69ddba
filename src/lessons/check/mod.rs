//! For authors: what is missing in a lesson ([`lint()`]), whether it does what it says ([`prove()`]), and how one begins
//! ([`new_lesson`], [`import()`]).

mod begin;
mod import;
mod lint;
mod prove;

pub use begin::new_lesson;
pub use import::import;
pub use lint::{lint, lint_course};
pub use prove::{Proof, prove, prove_as};

//! The line at the prompt: editing, history, search, completion. State and pure changes; `shell_pane` draws it.
//!
//! * `editor`: what each key does; it owns the other three.
//! * `text`: characters and the cursor among them.
//! * `history`: earlier lines, brought back and searched.
//! * `menu`: candidates to choose from.

mod editor;
mod history;
mod menu;
mod text;

pub use editor::{Edited, LineEditor};
pub use menu::Menu;

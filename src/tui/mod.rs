//! The TUI: the lesson's text, the shell and live views of the cluster, side by side on one terminal.
//!
//! * `app`: the state, and how messages change it; `draw` shows it. Both are pure.
//! * `play`: the lesson or the free cluster that is played; `lesson_words` puts what a stage says into the pane's struct.
//! * `run`: the event loop around them; `news` is what it waits for, `frames` when it draws; `terminal`, `input`, `shell_task`, `log_tasks` and `history` are its hands.
//! * `components`: the parts of the screen, which never call each other; `views`: the live views, one file a view.
//! * `world`: the store as the views see it.
//! * `keys`, `words`, `theme`, `layout`, `tabs`, `text`: the tables and rules that all of it shares.
//!
//! Called by `cli`. It decides nothing about lessons: it shows what [`Stage`](crate::lessons::Stage) says.

mod app;
pub mod components;
mod draw;
mod frames;
mod history;
mod input;
mod input_bytes;
mod keys;
mod layout;
mod lesson_words;
mod log_tasks;
mod news;
mod play;
mod reload;
mod run;
mod shell_task;
mod tabs;
mod terminal;
mod text;
mod theme;
mod views;
mod words;
mod world;

pub use play::PlayConfig;
pub use run::{ProgressNote, Start, run};
pub use theme::{Palette, Theme};
pub use words::Lang;

//! What a live view is.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::list::Travel;
use crate::scheduler::Decision;
use crate::store::Record;
use crate::tui::theme::Theme;
use crate::tui::words::{Lang, Word};
use crate::tui::world::World;

/// What a view draws with.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// What is known of the cluster.
    pub world: &'a World,
    /// The language.
    pub lang: Lang,
    /// The colours.
    pub theme: Theme,
    /// Whether keys go to the view.
    pub focused: bool,
}

/// A container whose logs are wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogTarget {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// How often it was started again: a new start is a new log.
    pub restarts: i64,
}

/// What comes from elsewhere than the store.
#[derive(Clone, Debug)]
pub enum Feed {
    /// A line of a container's log.
    Log(LogTarget, String),
    /// What the scheduler decided lately.
    Decisions(Arc<Vec<Decision>>),
}

/// A live view.
pub trait View: Send {
    /// What it is called.
    fn name(&self) -> Word;

    /// What it is called where there is little room.
    fn short_name(&self) -> Word {
        self.name()
    }

    /// Keys of its own, for the bar and the help.
    fn keys(&self) -> &'static [(KeyCode, Word)] {
        &[]
    }

    /// Takes in one of [`View::keys`]. Returns an object to open.
    fn key(&mut self, _key: &KeyEvent, _world: &World) -> Option<Arc<str>> {
        None
    }

    /// Moves what is chosen or shown.
    fn travel(&mut self, travel: Travel, world: &World);

    /// Takes in what was written; the world has it already.
    fn changed(&mut self, _world: &World, _records: &[Arc<Record>]) {}

    /// The world was loaded anew, or another object is talked about.
    fn reset(&mut self, _world: &World) {}

    /// Takes in what comes from elsewhere.
    fn feed(&mut self, _feed: &Feed) {}

    /// The logs that it wants to be fed.
    fn wanted_logs(&self, _world: &World) -> Vec<LogTarget> {
        vec![]
    }

    /// Whether it wants to be fed the scheduler's decisions.
    fn wants_decisions(&self) -> bool {
        false
    }

    /// What its title says besides its name.
    fn note(&self, _scene: Scene<'_>) -> Option<String> {
        None
    }

    /// Draws it.
    fn draw(&self, scene: Scene<'_>, area: Rect, buffer: &mut Buffer);
}

//! The live views: one file a view, and their table.
//!
//! A view is told what was written and draws what the [`World`](super::world::World) knows; none asks anybody for
//! anything.

mod events;
mod flow;
mod list;
mod logs;
mod map;
mod scheduling;
mod store_keys;
mod tree;
mod view;
mod yaml;

pub use list::Travel;
pub use view::{Feed, LogTarget, Scene, View};

use super::tabs::TabName;
use super::words::{Lang, Word};

/// Every view, in the order of their numbers.
pub fn all() -> Vec<Box<dyn View>> {
    vec![
        Box::<map::Map>::default(),
        Box::<flow::Flow>::default(),
        Box::<tree::Tree>::default(),
        Box::<events::Events>::default(),
        Box::<logs::Logs>::default(),
        Box::<yaml::Yaml>::default(),
        Box::<store_keys::StoreKeys>::default(),
        Box::<scheduling::Scheduling>::default(),
    ]
}

/// Where the view of one object's YAML is in [`all`].
pub const YAML: usize = 5;

/// What the views are called, in the order of their numbers.
pub fn names(views: &[Box<dyn View>], lang: Lang) -> Vec<TabName> {
    let name = |(full, short): (Word, Word)| TabName { full: full.text(lang), short: short.text(lang) };
    views.iter().map(|view| name((view.name(), view.short_name()))).collect()
}

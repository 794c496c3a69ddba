//! `App::update` without a terminal, and what the screen shows for it.

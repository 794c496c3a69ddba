//! Tests of the whole: one binary, a module a subject.

mod api;
mod control_plane;

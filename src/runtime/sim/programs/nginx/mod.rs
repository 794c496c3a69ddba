//! nginx: its configuration files, static files, `return`, `proxy_pass`, logs and signals.
//!
//! What it does of nginx's configuration is the part that tutorials mount from ConfigMaps; a directive that nginx does not
//! know is refused in nginx's words, one that nginx knows and we do not act on is passed over.

mod config;
mod program;
mod server;
mod site;

pub(super) use program::Nginx;

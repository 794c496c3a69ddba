//! k8s-learn: a whole Kubernetes cluster in one process, to learn on.
//!
//! A tour, from the bottom floor up. A module may use its own floor and lower ones; `tests/tidy.rs` holds that.
//!
//! * Floor 0: [`clock`] (time), [`seed`] (chance), [`watch`] (values that change), [`net`] (byte streams), [`meta`] (Kubernetes' small value types), [`yaml`].
//! * Floor 1: [`store`], which is etcd's semantics in memory; [`bash`], which is the learner's and the containers' shell.
//! * Floor 2: [`api`], the API server.
//! * Floor 3: [`client`], [`informer`] and [`events`], and the components that use them: [`network`], [`runtime`], [`controllers`],
//!   [`scheduler`], [`kubelet`]. They meet at the API and never call each other.
//! * Floor 4: [`cluster`], which builds, starts and stops all of that.
//! * Floor 5: [`kubectl`] and [`shell`].
//! * Floor 7: [`tui`], the lessons' text, the shell and live views on one terminal.
//!
//! [`cli`] is the command line on top.

pub mod api;
pub mod bash;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod controllers;
pub mod events;
pub mod informer;
pub mod kubectl;
pub mod kubelet;
pub mod lessons;
pub mod meta;
pub mod net;
pub mod network;
pub mod runtime;
pub mod scheduler;
pub mod seed;
pub mod shell;
pub mod store;
pub mod streams;
pub mod tui;
pub mod watch;
pub mod yaml;

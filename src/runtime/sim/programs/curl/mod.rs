//! `curl` 7.88: requests over the pod network, in curl's own words and exit codes.

mod options;
mod program;
mod progress;
mod transfer;
mod url;

pub use program::Curl;
pub(super) use url::Url;

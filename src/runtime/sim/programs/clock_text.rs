//! Times as servers write them: in HTTP's headers, access logs and error logs. Always UTC.

use jiff::Timestamp;

fn format(time: Timestamp, pattern: &str) -> String {
    time.strftime(pattern).to_string()
}

/// `Fri, 20 Nov 2026 08:23:26 GMT`
pub(super) fn http(time: Timestamp) -> String {
    format(time, "%a, %d %b %Y %H:%M:%S GMT")
}

/// `20/Nov/2026:08:23:26 +0000`
pub(super) fn access_log(time: Timestamp) -> String {
    format(time, "%d/%b/%Y:%H:%M:%S +0000")
}

/// `2026/11/20 08:23:26`
pub(super) fn nginx(time: Timestamp) -> String {
    format(time, "%Y/%m/%d %H:%M:%S")
}

/// `2026-11-20T08:04:15.791Z`
pub(super) fn iso(time: Timestamp) -> String {
    format(time, "%Y-%m-%dT%H:%M:%S.%3fZ")
}

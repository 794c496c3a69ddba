//! curl's progress meter.

use std::time::Duration;

/// The two lines above the meter.
pub(super) const HEADER: &str = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n                                 Dload  Upload   Total   Spent    Left  Speed\n";

/// The meter before anything has come.
pub(super) const EMPTY: &str =
    "\r  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0";

/// Nothing is reckoned to take less, so that speeds stay believable.
const SHORTEST: Duration = Duration::from_millis(4);

/// A number in five places, as curl shortens it.
fn five(bytes: u64) -> String {
    const UNITS: [char; 5] = ['k', 'M', 'G', 'T', 'P'];
    if bytes < 100_000 {
        return format!("{bytes:>5}");
    }
    let mut number = bytes;
    for unit in UNITS {
        number /= 1024;
        if number < 10_000 {
            return format!("{number:>4}{unit}");
        }
    }
    format!("{number:>4}E")
}

/// The meter at the end of a transfer.
pub(super) fn done(received: u64, sent: u64, elapsed: Duration) -> String {
    let seconds = elapsed.max(SHORTEST).as_secs_f64();
    let (down, up) = ((received as f64 / seconds) as u64, (sent as f64 / seconds) as u64);
    let total = received + sent;
    let spent = match elapsed.as_secs() {
        0 => "--:--:--".to_owned(),
        seconds => format!("{:2}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    };
    let percent = |bytes: u64| if bytes > 0 { 100 } else { 0 };
    format!(
        "\r{:>3} {}  {:>3} {}  {:>3} {}  {}  {} {spent} {spent} --:--:-- {}",
        percent(total),
        five(total),
        percent(received),
        five(received),
        percent(sent),
        five(sent),
        five(down),
        five(up),
        five(down)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_has_curls_columns() {
        let meter = done(379, 0, Duration::ZERO);
        assert_eq!(meter, "\r100   379  100   379    0     0  94750      0 --:--:-- --:--:-- --:--:-- 94750");
        assert_eq!(meter.len(), EMPTY.len());
        assert_eq!(five(2_130_601), "2080k");
    }
}

//! `sleep`, on the cluster's clock.

use std::time::Duration;

use async_trait::async_trait;

use super::program::{Dialect, Program, ProgramContext};

/// `sleep 1.5`, `sleep 2m 3s`, `sleep infinity`.
pub struct Sleep;

/// How long a word of `sleep`, `timeout` or `ping` means; infinite for ever.
pub fn interval_seconds(text: &str) -> Option<f64> {
    let (number, unit) = match text.chars().last()? {
        's' => (&text[..text.len() - 1], 1.0),
        'm' => (&text[..text.len() - 1], 60.0),
        'h' => (&text[..text.len() - 1], 3600.0),
        'd' => (&text[..text.len() - 1], 86_400.0),
        _ => (text, 1.0),
    };
    if number == "infinity" || number == "inf" {
        return Some(f64::INFINITY);
    }
    number.parse::<f64>().ok().filter(|number| *number >= 0.0).map(|number| number * unit)
}

#[async_trait]
impl Program for Sleep {
    async fn run(&self, context: ProgramContext) -> i32 {
        let mut stdio = context.stdio;
        let busybox = context.system.dialect == Dialect::Busybox;
        let words = &context.args[1..];
        if words.is_empty() {
            let text = if busybox {
                "sleep: missing operand\n"
            } else {
                "sleep: missing operand\nTry 'sleep --help' for more information.\n"
            };
            stdio.err(text).await;
            return 1;
        }
        let mut total = 0.0;
        for word in words {
            let Some(part) = interval_seconds(word) else {
                stdio.err(match busybox {
                    true => format!("sleep: invalid number '{word}'\n"),
                    false => format!("sleep: invalid time interval '{word}'\nTry 'sleep --help' for more information.\n"),
                })
                .await;
                return 1;
            };
            total += part;
        }
        // Beyond what a duration holds is for ever.
        match Duration::try_from_secs_f64(total) {
            Ok(duration) => context.system.clock.sleep(duration).await,
            Err(_) => std::future::pending().await,
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in [("2", 2.0), ("1.5m", 90.0), ("1h", 3600.0), ("infinity", f64::INFINITY)] {
            assert_eq!(interval_seconds(text), Some(expected), "{text}");
        }
        assert_eq!((interval_seconds("x"), interval_seconds("-1"), interval_seconds("")), (None, None, None));
    }
}

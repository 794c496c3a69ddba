//! `read`.

use async_trait::async_trait;
use bashkit::{Builtin, BuiltinContext, ExecResult, Result};
use tokio::io::AsyncReadExt;

use crate::bash::kit::command::{LIVE_STDIN, Streams};

/// `read`, which takes one line off the shell's real input.
pub(in crate::bash) struct Read;

struct ReadOptions {
    raw: bool,
    prompt: String,
    names: Vec<String>,
    characters: Option<usize>,
    delimiter: u8,
}

fn read_options(args: &[String]) -> std::result::Result<ReadOptions, String> {
    let mut options =
        ReadOptions { raw: false, prompt: String::new(), names: vec![], characters: None, delimiter: b'\n' };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            options.names.push(word.clone());
            continue;
        };
        for letter in letters.chars() {
            let mut value =
                || words.next().cloned().ok_or_else(|| format!("-{letter}: option requires an argument"));
            match letter {
                'r' => options.raw = true,
                's' | 'e' => {}
                'p' => options.prompt = value()?,
                't' | 'u' => drop(value()?),
                'n' | 'N' => options.characters = value()?.parse().ok(),
                'd' => options.delimiter = value()?.bytes().next().unwrap_or(0),
                other => return Err(format!("-{other}: invalid option")),
            }
        }
    }
    if options.names.is_empty() {
        options.names.push("REPLY".to_owned());
    }
    Ok(options)
}

#[async_trait]
impl Builtin for Read {
    async fn execute(&self, context: BuiltinContext<'_>) -> Result<ExecResult> {
        let options = match read_options(context.args) {
            Ok(options) => options,
            Err(why) => return Ok(ExecResult::err(format!("bash: read: {why}\n"), 2)),
        };
        let streams = context.execution_extension::<Streams>().and_then(|s| s.try_with(Streams::clone).ok());
        let live = context
            .stdin
            .is_none_or(|given| given.as_bytes().starts_with(&LIVE_STDIN[..LIVE_STDIN.len() - 1]));
        let line = match (live, streams) {
            (true, Some(mut streams)) => match options.characters {
                Some(count) => {
                    let mut bytes = vec![];
                    let _ = (&mut streams.stdin).take(count as u64).read_to_end(&mut bytes).await;
                    bytes
                }
                // A stream that breaks is one that ends.
                None => streams.stdin.read_until(options.delimiter).await.unwrap_or_default(),
            },
            _ => {
                let given = context.stdin.map(|given| given.as_bytes().to_vec()).unwrap_or_default();
                given
                    .split_inclusive(|byte| *byte == options.delimiter)
                    .next()
                    .map(<[u8]>::to_vec)
                    .unwrap_or_default()
            }
        };
        let complete = options.characters.is_some() || line.last() == Some(&options.delimiter);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(char::from(options.delimiter));
        let text = if options.raw { text.to_owned() } else { text.replace('\\', "") };
        let separators = context.variables.get("IFS").cloned().unwrap_or_else(|| " \t\n".to_owned());
        assign(&options.names, &text, &separators, context.variables);
        let code = i32::from(line.is_empty() || !complete);
        let mut result = ExecResult::err(options.prompt, code);
        result.exit_code = code;
        Ok(result)
    }
}

/// Puts the fields of a line into variables; the last one gets the rest.
fn assign(
    names: &[String],
    text: &str,
    separators: &str,
    variables: &mut std::collections::HashMap<String, String>,
) {
    let is_separator = |c: char| separators.contains(c);
    let mut rest = text.trim_matches(|c: char| is_separator(c) && c.is_whitespace());
    for (index, name) in names.iter().enumerate() {
        if index + 1 == names.len() {
            variables.insert(name.clone(), rest.to_owned());
            break;
        }
        let end = rest.find(is_separator).unwrap_or(rest.len());
        variables.insert(name.clone(), rest[..end].to_owned());
        rest = rest[end..].trim_start_matches(is_separator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_variable_gets_the_rest() {
        let mut variables = std::collections::HashMap::new();
        assign(&["a".into(), "b".into()], " one  two three ", " \t\n", &mut variables);
        assert_eq!((variables["a"].as_str(), variables["b"].as_str()), ("one", "two three"));
    }

    proptest::proptest! {
        #[test]
        fn any_options_are_read_or_refused(words in proptest::collection::vec("-[a-z]{0,4}|\\PC{0,8}", 0..6)) {
            let _ = read_options(&words);
        }
    }
}

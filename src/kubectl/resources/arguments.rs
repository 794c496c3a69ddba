//! The grammar of resource arguments: `TYPE[,TYPE] [NAME...]`, `TYPE/NAME...`, `key=value` and `key-` behind them.
// Models k8s.io/cli-runtime/pkg/resource/builder.go and cmdutil.GetResourcesAndPairs.

use crate::kubectl::error::{KubectlError, Result};

/// The parts of a comma-separated argument, each once.
pub(super) fn split_resources(argument: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![];
    for part in argument.split(',') {
        if !parts.iter().any(|known| known == part) {
            parts.push(part.to_owned());
        }
    }
    parts
}

/// `a,b x` as `a/x b/x`.
pub(super) fn normalize(args: &[String]) -> Vec<String> {
    if let [types, names @ ..] = args
        && !names.is_empty()
    {
        let types = split_resources(types);
        if types.len() > 1 {
            return types
                .iter()
                .flat_map(|kind| names.iter().map(move |name| format!("{kind}/{name}")))
                .collect();
        }
    }
    args.to_vec()
}

/// Whether arguments are of the form `TYPE/NAME`; mixed forms are an error.
pub(super) fn combined(args: &[String]) -> Result<bool> {
    let slashes = args.iter().filter(|arg| arg.contains('/')).count();
    match slashes {
        0 => Ok(false),
        all if all == args.len() => Ok(true),
        _ => Err(KubectlError::message(
            "there is no need to specify a resource type as a separate argument when passing arguments in resource/name \
             form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
        )),
    }
}

/// The type and name of `TYPE/NAME`.
pub(super) fn split_type_name(argument: &str) -> Result<Option<(String, String)>> {
    if !argument.contains('/') {
        return Ok(None);
    }
    let parts: Vec<&str> = argument.split('/').collect();
    let [kind, name] = parts[..] else {
        return Err(KubectlError::message(
            "arguments in resource/name form may not have more than one slash",
        ));
    };
    if kind.is_empty() || name.is_empty() || split_resources(kind).len() != 1 {
        return Err(KubectlError::message(
            "arguments in resource/name form must have a single resource and name",
        ));
    }
    Ok(Some((kind.to_owned(), name.to_owned())))
}

/// Whether the arguments name objects, rather than types alone.
pub fn has_names(args: &[String]) -> Result<bool> {
    let args = normalize(args);
    Ok(combined(&args)? || args.len() > 1)
}

/// Tells resources from the pairs behind them (`key=value`, `key-`). `pair_type` is like `label`, for the error.
pub fn resources_and_pairs(args: &[String], pair_type: &str) -> Result<(Vec<String>, Vec<String>)> {
    let is_pair = |arg: &String| arg.contains('=') && !arg.starts_with('=') || arg.ends_with('-');
    let first = args.iter().position(is_pair).unwrap_or(args.len());
    if let Some(late) = args[first..].iter().find(|arg| !is_pair(arg)) {
        let text = format!("all resources must be specified before {pair_type} changes: {late}");
        return Err(KubectlError::message(text));
    }
    Ok((args[..first].to_vec(), args[first..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn arguments_are_taken_apart() {
        assert_eq!(normalize(&args("a,b x y")), args("a/x a/y b/x b/y"));
        assert_eq!(normalize(&args("a x")), args("a x"));
        assert!(combined(&args("a/x b/y")).unwrap());
        assert!(combined(&args("a b/y")).is_err());
        assert!(split_type_name("a/b/c").is_err() && split_type_name("a,b/c").is_err());
        assert!(has_names(&args("pods x")).unwrap() && !has_names(&args("pods")).unwrap());
        let (resources, pairs) = resources_and_pairs(&args("pods x a=b c-"), "label").unwrap();
        assert_eq!((resources, pairs), (args("pods x"), args("a=b c-")));
        assert!(resources_and_pairs(&args("a=b pods"), "label").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_argument_is_taken_apart_or_refused(argument in "[a-z/,.]{0,20}|\\PC{0,20}") {
            let _ = split_resources(&argument);
            if let Ok(Some((kind, name))) = split_type_name(&argument) {
                proptest::prop_assert_eq!(format!("{kind}/{name}"), argument);
            }
        }
    }
}

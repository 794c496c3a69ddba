//! Reading OpenAPI v3 schemas: references, types, and wrapping their texts.
// Models k8s.io/kubectl/pkg/explain/v2 (funcs.go) and mitchellh/go-wordwrap.

use serde_json::Value;

/// An OpenAPI v3 document of a group and version.
pub(super) struct Document(pub Value);

impl Document {
    /// The schema that a `$ref` names.
    pub fn resolve(&self, reference: &str) -> Option<&Value> {
        let path = reference.strip_prefix('#')?;
        let mut current = &self.0;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            current = current.get(part)?;
        }
        current.is_object().then_some(current)
    }

    /// A schema, or what it refers to.
    pub fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        self.resolve(reference(schema)).unwrap_or(schema)
    }

    /// The schema of a kind.
    pub fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Value> {
        let is_it = |gvk: &Value| {
            gvk["group"].as_str().unwrap_or_default() == group
                && gvk["version"] == version
                && gvk["kind"] == kind
        };
        let schemas = self.0["components"]["schemas"].as_object()?;
        schemas.values().find(|schema| {
            schema["x-kubernetes-group-version-kind"].as_array().is_some_and(|list| list.iter().any(is_it))
        })
    }

    /// The type of a schema as explain prints it: `string`, `[]Container`, `map[string]string`.
    pub fn type_guess(&self, schema: &Value) -> String {
        if schema["items"].is_object() {
            return format!("[]{}", self.type_guess(&schema["items"]));
        }
        if schema["additionalProperties"].is_object() {
            return format!("map[string]{}", self.type_guess(&schema["additionalProperties"]));
        }
        if let Some([only]) = schema["allOf"].as_array().map(Vec::as_slice)
            && schema["properties"].is_null()
        {
            return self.type_guess(only);
        }
        let name = reference(schema);
        if !name.is_empty() {
            let kind = self.resolve(name).and_then(|target| target["type"].as_str());
            return match kind {
                None | Some("object") => name.rsplit(['/', '.']).next().unwrap_or("Object").to_owned(),
                Some(kind) => kind.to_owned(),
            };
        }
        match schema["type"].as_str() {
            None | Some("object") => "Object".to_owned(),
            Some(kind) => kind.to_owned(),
        }
    }
}

/// The `$ref` of a schema; empty if it has none.
pub(super) fn reference(schema: &Value) -> &str {
    schema["$ref"].as_str().unwrap_or_default()
}

/// Puts spaces in front of every line.
pub(super) fn indent(amount: usize, text: &str) -> String {
    let pad = " ".repeat(amount);
    format!("{pad}{}", text.replace('\n', &format!("\n{pad}")))
}

/// Breaks lines between words so that they are no longer than `limit`; longer words stay whole.
pub(super) fn wrap(limit: usize, text: &str) -> String {
    let mut out = String::new();
    let (mut word, mut space) = (String::new(), String::new());
    let mut current = 0;
    let count = |text: &str| text.chars().count();
    for letter in text.chars() {
        if letter == '\n' {
            if !word.is_empty() || current + count(&space) <= limit {
                out += &space;
            }
            out += &word;
            space.clear();
            word.clear();
            out.push('\n');
            current = 0;
        } else if letter.is_whitespace() && letter != '\u{a0}' {
            if space.is_empty() || !word.is_empty() {
                current += count(&space) + count(&word);
                out += &space;
                out += &word;
                space.clear();
                word.clear();
            }
            space.push(letter);
        } else {
            word.push(letter);
            if current + count(&word) + count(&space) > limit && count(&word) < limit {
                out.push('\n');
                current = 0;
                space.clear();
            }
        }
    }
    if !word.is_empty() || current + count(&space) <= limit {
        out += &space;
    }
    out + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_between_words() {
        assert_eq!(wrap(10, "one two three four"), "one two\nthree four");
        assert_eq!(wrap(5, "averylongword x"), "averylongword\nx");
        assert_eq!(wrap(10, "a\n\nb\n"), "a\n\nb\n");
        assert_eq!(indent(2, "a\nb"), "  a\n  b");
    }
}

//! JSON values to objects, for what patches make: the same walk as a decoder's, with other words for what does not fit.
// Models k8s.io/apimachinery/pkg/runtime (FromUnstructuredWithValidation).

use serde_json::{Map, Value};

use super::decode::Decoded;
use super::scalar;
use super::target::Target;
use super::walk::{fill, is_zero};
use crate::api::schema::{FieldInfo, Shape, TypeInfo};
use crate::meta::quantity::{Quantity, QuantityError};

/// The object that a patched value is. The error is what the converter says, without the words around it; the caller
/// makes an `Invalid` of it, or a `BadRequest`, as the kind of patch wants.
pub fn from_unstructured(target: &Target<'_>, value: Value) -> Result<Decoded, String> {
    let (Some(info), false) = (target.schema, target.custom) else {
        return Ok(Decoded { value, warnings: vec![] });
    };
    let Value::Object(map) = value else {
        return Err(format!("cannot restore struct from: {}", word(&value)));
    };
    let mut walk = Walk { warnings: vec![], path: String::new() };
    let mut map = walk.fields(map, info)?;
    walk.warnings.sort();
    map.insert("kind".to_owned(), target.kind.into());
    map.insert("apiVersion".to_owned(), target.api_version().into());
    Ok(Decoded { value: Value::Object(map), warnings: walk.warnings })
}

/// Go's word for a value's kind.
fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

struct Walk {
    warnings: Vec<String>,
    path: String,
}

impl Walk {
    fn fields(&mut self, map: Map<String, Value>, info: &TypeInfo) -> Result<Map<String, Value>, String> {
        let mut result = Map::new();
        for (key, value) in map {
            let Some(field) = info.field(&key) else {
                let path = format!("{}.{key}", self.path);
                self.warnings.push(format!("unknown field {:?}", path.trim_start_matches('.')));
                continue;
            };
            let value = self.field(value, field)?;
            if let Some(value) = value.filter(|value| field.pointer || !is_zero(value, field)) {
                result.insert(key, value);
            }
        }
        fill(&mut result, info);
        Ok(result)
    }

    fn field(&mut self, value: Value, field: &FieldInfo) -> Result<Option<Value>, String> {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(&field.name);
        let value = self.value(value, &field.value);
        self.path.truncate(length);
        value
    }

    fn value(&mut self, value: Value, shape: &Shape) -> Result<Option<Value>, String> {
        Ok(Some(match (shape, value) {
            (_, Value::Null) => return Ok(None),
            (Shape::Raw, value) => value,
            (Shape::Type(reference), Value::Object(map)) => Value::Object(self.fields(map, reference.get())?),
            (Shape::Type(_), other) => return Err(format!("cannot restore struct from: {}", word(&other))),
            (Shape::List(element), Value::Array(items)) => self.list(items, element)?,
            (Shape::List(_), other) => return Err(format!("cannot restore slice from {}", word(&other))),
            (Shape::Map(element), Value::Object(map)) => self.map(map, element)?,
            (Shape::Map(_), other) => return Err(format!("cannot restore map from {}", word(&other))),
            (Shape::String, value @ Value::String(_)) | (Shape::Bool, value @ Value::Bool(_)) => value,
            (Shape::Int(bits), Value::Number(number)) => match (whole(&number), bits) {
                // Go converts without a look at the range.
                (Some(whole), 32) => (whole as i32).into(),
                (Some(whole), _) => whole.into(),
                (None, bits) => return Err(format!("cannot convert float64 to int{bits}")),
            },
            (Shape::String, Value::Number(_)) => return Err("cannot convert int64 to string".to_owned()),
            (Shape::Float, Value::Number(number)) => Value::Number(number),
            (Shape::Bytes, Value::String(text)) => scalar::base64(&text)?.into(),
            (Shape::Quantity, Value::String(text)) => canonical_quantity(&text)?,
            (Shape::Quantity, Value::Number(number)) => canonical_quantity(&number.to_string())?,
            (Shape::Quantity, _) => return Err(QuantityError::Format.to_string()),
            (Shape::IntOrString, value @ (Value::String(_) | Value::Number(_))) => value,
            (Shape::Time, Value::String(text)) => return Ok(scalar::time(&text)?.map(Value::String)),
            (Shape::MicroTime, Value::String(text)) => {
                return Ok(scalar::micro_time(&text)?.map(Value::String));
            }
            (Shape::Duration, value @ Value::String(_)) => value,
            (shape, _) => return Err(format!("unrecognized type: {}", name(shape))),
        }))
    }

    fn list(&mut self, items: Vec<Value>, element: &Shape) -> Result<Value, String> {
        let length = self.path.len();
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            self.path.push_str(&format!("[{index}]"));
            values.push(self.value(item, element)?.unwrap_or_else(|| super::walk::zero(element)));
            self.path.truncate(length);
        }
        Ok(Value::Array(values))
    }

    fn map(&mut self, map: Map<String, Value>, element: &Shape) -> Result<Value, String> {
        let length = self.path.len();
        let mut values = Map::new();
        for (key, item) in map {
            self.path.push_str(&format!(".{key}"));
            let value = self.value(item, element)?.unwrap_or_else(|| super::walk::zero(element));
            self.path.truncate(length);
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

/// A number without a fraction.
fn whole(number: &serde_json::Number) -> Option<i64> {
    let float = || {
        number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9.2e18).map(|float| float as i64)
    };
    number.as_i64().or_else(float)
}

fn canonical_quantity(text: &str) -> Result<Value, String> {
    let quantity: Quantity = text.trim().parse().map_err(|error: QuantityError| error.to_string())?;
    Ok(quantity.to_string().into())
}

/// Go's name for the kind of type that a shape has.
fn name(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".to_owned(),
        Shape::Int(bits) => format!("int{bits}"),
        Shape::Float => "float64".to_owned(),
        Shape::Bytes => "slice".to_owned(),
        Shape::IntOrString | Shape::Quantity | Shape::Time | Shape::MicroTime | Shape::Duration => {
            "struct".to_owned()
        }
        _ => "string".to_owned(),
    }
}

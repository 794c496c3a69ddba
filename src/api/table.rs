//! Server-side tables: the columns and rows that `kubectl get` prints, as `meta.k8s.io/v1` Table.
//!
//! Each kind declares [`Column`]s and fills a row of [`Cell`]s; the REST layer turns them into the Table object.

use serde_json::{Value, json};

/// A column of a kind's table.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading as the API spells it, like `Up-to-date`; kubectl prints it in capitals.
    pub name: &'static str,
    /// The OpenAPI type of the cells: `string` or `integer`.
    pub r#type: &'static str,
    /// `name` for the name column, else empty.
    pub format: &'static str,
    /// What the column shows.
    pub description: &'static str,
    /// 0 is always shown, 1 and more with `-o wide`.
    pub priority: i32,
}

impl Column {
    /// The `Name` column that every table begins with.
    pub const NAME: Self = Self {
        name: "Name",
        r#type: "string",
        format: "name",
        description: "Name of the object",
        priority: 0,
    };
    /// The `Age` column.
    pub const AGE: Self = Self::string("Age", "Time since the object was created");

    /// A column of text.
    pub const fn string(name: &'static str, description: &'static str) -> Self {
        Self { name, r#type: "string", format: "", description, priority: 0 }
    }

    /// A column of whole numbers.
    pub const fn integer(name: &'static str, description: &'static str) -> Self {
        Self { r#type: "integer", ..Self::string(name, description) }
    }

    /// The same column, shown with `-o wide` only.
    #[must_use]
    pub const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }

    /// The column's definition in a Table.
    pub fn definition(&self) -> Value {
        json!({"name": self.name, "type": self.r#type, "format": self.format, "description": self.description, "priority": self.priority})
    }
}

/// A cell: text or a number.
pub type Cell = Value;

//! What goes into a statement and what comes out of it: integers, text, null.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Error;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
}

impl From<i64> for Value {
    fn from(v: i64) -> Self {
        Value::Int(v)
    }
}
impl From<&str> for Value {
    fn from(v: &str) -> Self {
        Value::Text(v.to_owned())
    }
}
impl From<String> for Value {
    fn from(v: String) -> Self {
        Value::Text(v)
    }
}
impl From<&String> for Value {
    fn from(v: &String) -> Self {
        Value::Text(v.clone())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}

impl Value {
    pub fn int(self) -> Result<i64, Error> {
        self.opt_int()?.ok_or_else(|| Error::Corrupt("a number is null".into()))
    }

    pub fn opt_int(self) -> Result<Option<i64>, Error> {
        match self {
            Value::Int(v) => Ok(Some(v)),
            Value::Null => Ok(None),
            Value::Text(_) => Err(Error::Corrupt("a number is a text".into())),
        }
    }

    pub fn text(self) -> Result<String, Error> {
        self.opt_text()?.ok_or_else(|| Error::Corrupt("a text is null".into()))
    }

    pub fn opt_text(self) -> Result<Option<String>, Error> {
        match self {
            Value::Text(v) => Ok(Some(v)),
            Value::Null => Ok(None),
            Value::Int(_) => Err(Error::Corrupt("a text is a number".into())),
        }
    }
}

/// One row of an answer, read by column name.
#[derive(Debug, Clone)]
pub struct Row {
    pub(super) columns: Arc<[String]>,
    pub(super) values: Vec<Value>,
}

impl Row {
    fn value(&self, column: &str) -> Result<&Value, Error> {
        let at = self.columns.iter().position(|c| c == column);
        at.and_then(|i| self.values.get(i))
            .ok_or_else(|| Error::Corrupt(format!("no column `{column}`")))
    }

    /// All of it in the order in which it was asked for: answers of thousands of rows have no time
    /// for names and copies.
    pub fn values<const N: usize>(self) -> Result<[Value; N], Error> {
        let n = self.values.len();
        self.values.try_into().map_err(|_| Error::Corrupt(format!("a row of {n} columns")))
    }

    pub fn int(&self, column: &str) -> Result<i64, Error> {
        self.opt_int(column)?.ok_or_else(|| Error::Corrupt(format!("`{column}` is null")))
    }

    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, Error> {
        match self.value(column)? {
            Value::Int(v) => Ok(Some(*v)),
            Value::Null => Ok(None),
            Value::Text(_) => Err(Error::Corrupt(format!("`{column}` is no number"))),
        }
    }

    pub fn text(&self, column: &str) -> Result<String, Error> {
        self.opt_text(column)?.ok_or_else(|| Error::Corrupt(format!("`{column}` is null")))
    }

    pub fn opt_text(&self, column: &str) -> Result<Option<String>, Error> {
        match self.value(column)? {
            Value::Text(v) => Ok(Some(v.clone())),
            Value::Null => Ok(None),
            Value::Int(_) => Err(Error::Corrupt(format!("`{column}` is no text"))),
        }
    }

    /// A text column parsed as JSON.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        serde_json::from_str(&self.text(column)?)
            .map_err(|e| Error::Corrupt(format!("`{column}`: {e}")))
    }

    /// A nullable text column parsed as JSON.
    pub fn opt_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, Error> {
        self.opt_text(column)?
            .map(|text| {
                serde_json::from_str(&text).map_err(|e| Error::Corrupt(format!("`{column}`: {e}")))
            })
            .transpose()
    }

    /// A text column parsed by the type's own rule (enums kept as words).
    pub fn word<T: std::str::FromStr<Err = String>>(&self, column: &str) -> Result<T, Error> {
        self.text(column)?.parse().map_err(|e| Error::Corrupt(format!("`{column}`: {e}")))
    }
}

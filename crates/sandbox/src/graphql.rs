//! GraphQL as far as a client of one operation a request needs it: fields, aliases, arguments,
//! variables. Fragments and directives are refused. A field that its type does not have is an error,
//! as everywhere: a resolver answers whole objects, and [`select`] takes out what was asked for.

use serde_json::{Map, Value};

/// A field that was asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) alias: String,
    pub(crate) name: String,
    /// Arguments, with the variables put in.
    pub(crate) args: Map<String, Value>,
    pub(crate) fields: Vec<Field>,
}

impl Field {
    pub(crate) fn text(&self, arg: &str) -> &str {
        self.args.get(arg).and_then(Value::as_str).unwrap_or_default()
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Operation {
    /// `query` or `mutation`.
    pub(crate) kind: String,
    pub(crate) fields: Vec<Field>,
}

/// Reads a document of one operation; the error is the message.
pub(crate) fn parse(document: &str, variables: &Value) -> Result<Operation, String> {
    let tokens = tokens(document)?;
    let mut reader = Reader { tokens: &tokens, at: 0, variables, declared: Vec::new() };
    let kind = match reader.peek() {
        "{" => "query".to_owned(),
        "query" | "mutation" => reader.next().to_owned(),
        other => return Err(unexpected(other)),
    };
    if reader.peek().starts_with(is_name) {
        reader.next();
    }
    if reader.peek() == "(" {
        reader.declarations()?;
    }
    let fields = reader.selection()?;
    match reader.peek() {
        "" => Ok(Operation { kind, fields }),
        other => Err(unexpected(other)),
    }
}

/// What was asked for of an object, a list of them, or nothing.
pub(crate) fn select(value: &Value, fields: &[Field]) -> Result<Value, String> {
    match value {
        Value::Array(items) => items.iter().map(|item| select(item, fields)).collect(),
        Value::Object(object) if !fields.is_empty() => {
            let mut out = Map::new();
            for field in fields {
                let value = object
                    .get(&field.name)
                    .ok_or_else(|| format!("Cannot query field \"{}\".", field.name))?;
                out.insert(field.alias.clone(), select(value, &field.fields)?);
            }
            Ok(Value::Object(out))
        }
        Value::Object(_) => Err("An object must have a selection of subfields.".to_owned()),
        Value::Null => Ok(Value::Null),
        _ if !fields.is_empty() => Err("A scalar has no selection of subfields.".to_owned()),
        scalar => Ok(scalar.clone()),
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn unexpected(token: &str) -> String {
    match token {
        "" => "Syntax Error: Unexpected <EOF>.".to_owned(),
        token => format!("Syntax Error: Unexpected \"{token}\"."),
    }
}

/// Names, numbers, strings with their quotes, and single signs.
fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => {
                let end = rest[1..].find('"').ok_or("Syntax Error: Unterminated string.")?;
                if rest[1..=end].contains('\\') {
                    return Err("Syntax Error: Escapes belong into variables here.".to_owned());
                }
                end + 2
            }
            c if is_name(c) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '!' | '$' | '=' => 1,
            other => return Err(unexpected(&other.to_string())),
        };
        if first != '#' {
            tokens.push(&rest[..length]);
        }
        rest = rest[length..].trim_start_matches(blank);
    }
    Ok(tokens)
}

fn blank(c: char) -> bool {
    c.is_whitespace() || c == ','
}

struct Reader<'t> {
    tokens: &'t [&'t str],
    at: usize,
    variables: &'t Value,
    declared: Vec<&'t str>,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> &'t str {
        self.tokens.get(self.at).copied().unwrap_or_default()
    }

    fn next(&mut self) -> &'t str {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.next() {
            found if found == token => Ok(()),
            found => Err(unexpected(found)),
        }
    }

    fn name(&mut self) -> Result<&'t str, String> {
        match self.next() {
            name if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => Ok(name),
            other => Err(unexpected(other)),
        }
    }

    /// `($a: Type!, $b: [Type])`; one that must be there has to be given.
    fn declarations(&mut self) -> Result<(), String> {
        self.expect("(")?;
        while self.peek() != ")" {
            self.expect("$")?;
            let name = self.name()?;
            self.expect(":")?;
            let mut kind = String::new();
            while !matches!(self.peek(), "$" | ")" | "" | "=") {
                kind.push_str(self.next());
            }
            if kind.ends_with('!') && self.variables[name].is_null() {
                return Err(format!(
                    "Variable \"${name}\" of required type \"{kind}\" was not provided."
                ));
            }
            self.declared.push(name);
        }
        self.expect(")")
    }

    fn selection(&mut self) -> Result<Vec<Field>, String> {
        self.expect("{")?;
        let mut fields = Vec::new();
        while self.peek() != "}" {
            let mut name = self.name()?;
            let mut alias = name;
            if self.peek() == ":" {
                self.next();
                name = self.name()?;
            } else {
                alias = name;
            }
            let mut args = Map::new();
            if self.peek() == "(" {
                self.next();
                while self.peek() != ")" {
                    let arg = self.name()?.to_owned();
                    self.expect(":")?;
                    let value = self.value()?;
                    args.insert(arg, value);
                }
                self.next();
            }
            let nested = if self.peek() == "{" { self.selection()? } else { Vec::new() };
            let (alias, name) = (alias.to_owned(), name.to_owned());
            fields.push(Field { alias, name, args, fields: nested });
        }
        self.next();
        if fields.is_empty() { Err(unexpected("}")) } else { Ok(fields) }
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.next() {
            "$" => {
                let name = self.name()?;
                if !self.declared.contains(&name) {
                    return Err(format!("Variable \"${name}\" is not defined."));
                }
                Ok(self.variables[name].clone())
            }
            "{" => {
                let mut object = Map::new();
                while self.peek() != "}" {
                    let name = self.name()?.to_owned();
                    self.expect(":")?;
                    let value = self.value()?;
                    object.insert(name, value);
                }
                self.next();
                Ok(Value::Object(object))
            }
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            text if text.starts_with('"') => Ok(text.trim_matches('"').into()),
            number if number.starts_with(|c: char| c.is_ascii_digit()) => {
                number.parse::<i64>().map(Value::from).map_err(|_| unexpected(number))
            }
            other => Err(unexpected(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_operation_is_read() {
        let text = "query Q($id: ID!, $n: Int) { # a comment\n a: post(id: $id, x: \"y\") { id } \
                    list(first: 3, by: {up: true, n: $n}) { edges { node { id } } } }";
        let read = parse(text, &json!({ "id": "7" })).unwrap();
        assert_eq!(read.kind, "query");
        assert_eq!((read.fields[0].alias.as_str(), read.fields[0].name.as_str()), ("a", "post"));
        assert_eq!(Value::Object(read.fields[0].args.clone()), json!({ "id": "7", "x": "y" }));
        assert_eq!(read.fields[1].args["by"], json!({ "up": true, "n": null }));
        let whole = json!({ "edges": [{ "node": { "id": 1, "more": 2 }, "role": "r" }] });
        let taken = select(&whole, &read.fields[1].fields).unwrap();
        assert_eq!(taken, json!({ "edges": [{ "node": { "id": 1 } }] }));
    }

    #[test]
    fn what_is_no_operation_is_told() {
        for (text, says) in [
            ("", "<EOF>"),
            ("query {", "<EOF>"),
            ("{ }", "\"}\""),
            ("{ a(b: $c) }", "\"$c\" is not defined"),
            ("query($c: ID!) { a(b: $c) }", "\"$c\" of required type \"ID!\""),
            ("{ a } { b }", "\"{\""),
            ("{ ...f }", "\".\""),
            ("{ a(b: \"c) }", "Unterminated"),
        ] {
            let error = parse(text, &json!({})).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        let field = parse("{ a }", &json!({})).unwrap().fields;
        assert!(select(&json!({ "b": 1 }), &field).is_err());
        assert!(select(&json!({ "a": {} }), &field).is_err());
    }
}

//! One statement for many rows of parameters: the parameters become the columns of a table that is
//! sent along, so that PostgreSQL plans, starts and answers once.
//!
//! The text that serves both databases is rewritten, `$2` to `given.p2`; three shapes are known,
//! and every other is a mistake of ours that the first use finds.

use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use super::super::{Error, Value};

/// Looking up by key, whatever the planner knew about the tables when it made its plan: a plan of a
/// table's first minutes would read all of it later.
pub(super) const BY_KEY: &str = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
     SET LOCAL enable_seqscan = off";

/// An UPDATE that answers with the place of the row of parameters for every row that it changed.
/// Two rows of parameters must not mean the same row of the table.
pub(super) fn update(sql: &str, types: &[Type]) -> Result<String, Error> {
    let at = top_level(sql, " WHERE ").ok_or_else(|| unknown(sql))?;
    let (set, condition) = (given(&sql[..at]), given(&sql[at..]));
    Ok(format!("{set} FROM {}{condition} RETURNING given.place", table(types)))
}

/// An INSERT of one row for each row of parameters.
pub(super) fn insert(sql: &str, types: &[Type]) -> Result<String, Error> {
    let (into, values) = sql.split_once(" VALUES (").ok_or_else(|| unknown(sql))?;
    let values = values.strip_suffix(')').ok_or_else(|| unknown(sql))?;
    Ok(format!("{into} SELECT {} FROM {}", given(values), table(types)))
}

/// A SELECT whose first column is the place of the row of parameters.
pub(super) fn select(sql: &str, types: &[Type]) -> String {
    let (table, sql) = (table(types), given(sql));
    format!("SELECT given.place, found.* FROM {table} CROSS JOIN LATERAL ({sql}) AS found")
}

fn table(types: &[Type]) -> String {
    let arrays: Vec<_> =
        types.iter().enumerate().map(|(i, t)| format!("CAST(${} AS {t}[])", i + 1)).collect();
    let names: Vec<_> = (1..=types.len()).map(|n| format!("p{n}")).collect();
    let (arrays, names) = (arrays.join(", "), names.join(", "));
    format!("unnest({arrays}) WITH ORDINALITY AS given ({names}, place)")
}

/// Parameters as columns.
fn given(sql: &str) -> String {
    sql.replace('$', "given.p")
}

/// The last place of `word` outside of every parenthesis.
fn top_level(sql: &str, word: &str) -> Option<usize> {
    let mut depth = 0;
    let mut found = None;
    for (i, c) in sql.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && sql[i..].starts_with(word) => found = Some(i),
            _ => {}
        }
    }
    found
}

fn unknown(sql: &str) -> Error {
    Error::Refused(format!("this statement cannot be done for many at once: {sql}"))
}

/// One parameter of every row.
#[derive(Debug)]
pub(super) struct Column<'a>(Vec<&'a Value>);

/// The columns of these rows.
pub(super) fn columns<'a>(
    each: &'a [Vec<Value>],
    types: &[Type],
) -> Result<Vec<Column<'a>>, Error> {
    if let Some(row) = each.iter().find(|row| row.len() != types.len()) {
        let (wanted, got) = (types.len(), row.len());
        return Err(Error::Refused(format!("the statement takes {wanted} parameters, got {got}")));
    }
    Ok((0..types.len()).map(|i| Column(each.iter().map(|row| &row[i]).collect())).collect())
}

impl ToSql for Column<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_says_which_rows_it_changed() {
        let sql = "UPDATE job SET error = (SELECT 1 WHERE 1 = 1), tries = tries + $1 WHERE id = $2";
        assert_eq!(
            update(sql, &[Type::INT8, Type::TEXT]).expect("known"),
            "UPDATE job SET error = (SELECT 1 WHERE 1 = 1), tries = tries + given.p1 \
             FROM unnest(CAST($1 AS int8[]), CAST($2 AS text[])) WITH ORDINALITY AS given (p1, p2, place) \
             WHERE id = given.p2 RETURNING given.place"
        );
        assert!(update("UPDATE job SET tries = $1", &[Type::INT8]).is_err());
    }

    #[test]
    fn an_insert_takes_its_rows_from_the_table() {
        assert_eq!(
            insert("INSERT INTO event (id, at) VALUES ($1, $2)", &[Type::TEXT, Type::INT8])
                .expect("known"),
            "INSERT INTO event (id, at) SELECT given.p1, given.p2 \
             FROM unnest(CAST($1 AS text[]), CAST($2 AS int8[])) WITH ORDINALITY AS given (p1, p2, place)"
        );
        let more = "INSERT INTO a (b) VALUES ($1) ON CONFLICT (b) DO NOTHING";
        assert!(insert(more, &[Type::TEXT]).is_err());
    }

    #[test]
    fn a_select_is_asked_for_every_row() {
        assert_eq!(
            select("SELECT * FROM post WHERE id = $1", &[Type::TEXT]),
            "SELECT given.place, found.* FROM unnest(CAST($1 AS text[])) WITH ORDINALITY AS given (p1, place) \
             CROSS JOIN LATERAL (SELECT * FROM post WHERE id = given.p1) AS found"
        );
    }
}

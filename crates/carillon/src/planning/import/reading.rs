//! From a file to rows: its format is recognised, its columns are found by their names.

use serde_json::Value as Json;

use super::row::{Note, Row, Wanted};
use super::{ImportFormat, others};
use crate::domain::refusal::{Kind, Refusal};
use crate::publishing::schedule::DraftDelivery;

/// Most bytes and rows of a file.
pub const MOST_BYTES: usize = 10 << 20;
pub const MOST_ROWS: usize = 5_000;

/// The columns, as they are documented and exported.
pub(in crate::planning) const COLUMNS: [&str; 12] = [
    "text",
    "scheduledAt",
    "timezone",
    "connections",
    "media",
    "alt",
    "firstComment",
    "title",
    "link",
    "state",
    "thread",
    "deliveries",
];

/// What a file holds.
#[derive(Debug)]
pub(super) struct File {
    pub format: ImportFormat,
    pub rows: Vec<Row>,
    /// About the whole file: columns that nothing is known of.
    pub notes: Vec<Note>,
}

/// Reads a file in its own format, or in the one that is said.
pub(super) fn read(bytes: &[u8], format: Option<ImportFormat>) -> Result<File, Refusal> {
    if bytes.len() > MOST_BYTES {
        return Err(too_large());
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        refused(
            "not_utf8",
            format!("The file is not in UTF-8: line {line} holds other bytes."),
            "Save it as “CSV UTF-8” and send it again.",
        )
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let is_json = text.trim_start().starts_with(['{', '[']);
    let mut file = match format {
        Some(ImportFormat::Csv) => csv(text, ImportFormat::Csv)?,
        None if !is_json => csv(text, of_header(text))?,
        Some(ImportFormat::Buffer) if !is_json => csv(text, ImportFormat::Buffer)?,
        format => json(text, format)?,
    };
    if file.rows.is_empty() {
        let sentence = "The file has no rows.";
        return Err(refused("no_rows", sentence.to_owned(), "Choose another file."));
    }
    if file.rows.len() > MOST_ROWS {
        let sentence = format!("The file has {} rows; an import may have 5,000.", file.rows.len());
        let fix = "Split it and import the parts one after the other.";
        return Err(Refusal::new(Kind::TooLarge, "import_too_large", sentence, fix));
    }
    for row in &mut file.rows {
        if crate::store::json(row).contains("\\u0000") {
            row.wrong(
                "",
                "nul_character",
                "A cell holds the character U+0000, which no database keeps.",
            );
        }
    }
    Ok(file)
}

pub fn too_large() -> Refusal {
    let sentence = "The file is larger than the 10 MB that an import may have.";
    let fix = "Split it and import the parts one after the other.";
    Refusal::new(Kind::TooLarge, "import_too_large", sentence, fix)
}

pub(super) fn refused(code: &str, sentence: String, fix: &str) -> Refusal {
    Refusal::new(Kind::Invalid, code, sentence, fix)
}

/// A header's name without what people write differently.
fn folded(name: &str) -> String {
    let kept = name.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '.'));
    kept.flat_map(char::to_lowercase).collect()
}

fn column(name: &str) -> Option<&'static str> {
    let name = folded(name);
    COLUMNS.into_iter().find(|c| folded(c) == name)
}

/// Buffer's own template, by the one column that nobody else has.
fn of_header(text: &str) -> ImportFormat {
    let header = text.lines().next().unwrap_or_default();
    let buffers = folded(header).contains("postingtime");
    if buffers { ImportFormat::Buffer } else { ImportFormat::Csv }
}

/// Semicolons and tabs are what spreadsheets write where a comma is the decimal point.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |c: char| header.matches(c).count();
    let most = [',', ';', '\t'].into_iter().max_by_key(|c| (count(*c), *c == ','));
    most.unwrap_or(',') as u8
}

/// Where a record begins: the reader's place is before the empty lines that it passes over.
fn line(text: &str, at: &csv::Position) -> u64 {
    let rest = text.as_bytes().get(at.byte() as usize..).unwrap_or_default();
    let empty = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    at.line() + empty.filter(|b| **b == b'\n').count() as u64
}

fn csv(text: &str, format: ImportFormat) -> Result<File, Refusal> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let unreadable = |e: csv::Error| {
        refused("csv_unreadable", format!("The file is no CSV: {e}."), "Save it as CSV UTF-8.")
    };
    let mut records = reader.records();
    let header = records.next().transpose().map_err(unreadable)?.unwrap_or_default();
    let (columns, notes) = columns(&header, format)?;
    let mut rows = Vec::new();
    for record in records {
        let record = record.map_err(unreadable)?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let line = record.position().map_or(0, |at| line(text, at)) as i64;
        let mut row = Row { line, ..Row::default() };
        if record.len() > header.len() {
            let message = format!(
                "The row has {} cells and the first line {}: put texts that hold commas, quotes or line ends in quotes.",
                record.len(),
                header.len()
            );
            row.wrong("", "too_many_cells", message);
        }
        let cells = columns.iter().zip(record.iter());
        let mut cells: Vec<_> = cells.filter_map(|(c, cell)| Some(((*c)?, cell))).collect();
        // How it is taken apart depends on how many media there are.
        cells.sort_by_key(|(column, _)| *column == "alt");
        for (column, cell) in cells {
            match format {
                ImportFormat::Buffer => others::buffer_cell(&mut row, column, cell),
                _ => fill(&mut row, column, unguarded(cell)),
            }
        }
        rows.push(row);
    }
    Ok(File { format, rows, notes })
}

/// A cell as it was before it was guarded against spreadsheets; see `export::guarded`.
fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) => rest,
        _ => cell,
    }
}

type Columns = Vec<Option<&'static str>>;

fn columns(
    header: &csv::StringRecord,
    format: ImportFormat,
) -> Result<(Columns, Vec<Note>), Refusal> {
    let (mut columns, mut notes) = (Columns::new(), Vec::new());
    for name in header.iter() {
        let known = match format {
            ImportFormat::Buffer => others::buffer_column(&folded(name)),
            _ => column(name),
        };
        let again = known.filter(|c| columns.contains(&Some(*c)));
        match (known, again) {
            (_, Some(_)) => {
                let message = format!("The column `{name}` stands twice: the first one counts.");
                notes.push(Note::warning(name, "column_twice", message));
                columns.push(None);
            }
            (None, _) => {
                let message = match name.trim() {
                    "" => "A column without a name is left out.".to_owned(),
                    name => format!("The column `{name}` is not known and left out."),
                };
                notes.push(Note::warning(name, "unknown_column", message));
                columns.push(None);
            }
            (known, None) => columns.push(known),
        }
    }
    if !columns.contains(&Some("text")) && !columns.contains(&Some("media")) {
        let sentence = "No column is called `text` or `media`.".to_owned();
        let fix = "Name the columns in the first line: text, scheduledAt, timezone, connections, media, alt, firstComment, title, link, state.";
        return Err(refused("no_columns", sentence, fix));
    }
    Ok((columns, notes))
}

/// Takes one cell into a row.
fn fill(row: &mut Row, column: &'static str, cell: &str) {
    let trimmed = || cell.trim().to_owned();
    match column {
        "text" => row.text = cell.to_owned(),
        "scheduledAt" => row.scheduled_at = trimmed(),
        "timezone" => row.timezone = trimmed(),
        "connections" => row.connections = listed(cell).map(|n| Wanted::named(&n)).collect(),
        "media" => row.media = listed(cell).collect(),
        "alt" => row.alt = alts(cell, row.media.len()),
        "firstComment" => row.first_comment = cell.to_owned(),
        "title" => row.title = cell.to_owned(),
        "link" => row.link = trimmed(),
        "state" => row.state = trimmed(),
        "thread" | "deliveries" if cell.trim().is_empty() => {}
        "thread" => match serde_json::from_str(cell) {
            Ok(parts) => row.thread = parts,
            Err(_) => row.thread = vec![cell.to_owned()],
        },
        _ => match serde_json::from_str(cell) {
            Ok(found) => deliveries(row, found),
            Err(e) => row.wrong(column, "invalid_json", format!("`deliveries` is no JSON: {e}.")),
        },
    }
}

fn listed(cell: &str) -> impl Iterator<Item = String> + '_ {
    let parts = cell.split([';', '\n']).map(str::trim);
    parts.filter(|p| !p.is_empty()).map(str::to_owned)
}

/// One medium's description is the whole cell; of several they stand on lines of their own, or
/// between semicolons.
fn alts(cell: &str, media: usize) -> Vec<String> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Vec::new();
    }
    let at = if cell.contains('\n') { '\n' } else { ';' };
    match media {
        1 => vec![cell.to_owned()],
        _ => cell.split(at).map(|p| p.trim().to_owned()).collect(),
    }
}

fn deliveries(row: &mut Row, found: Json) {
    match serde_json::from_value::<Vec<DraftDelivery>>(found) {
        Ok(found) => row.deliveries = Some(found),
        Err(e) => row.wrong("deliveries", "invalid_deliveries", format!("`deliveries`: {e}.")),
    }
}

fn json(text: &str, format: Option<ImportFormat>) -> Result<File, Refusal> {
    let whole: Json = serde_json::from_str(text).map_err(|e| {
        let fix = "Check quotes, commas and brackets at that place.";
        refused("invalid_json", format!("The file is no JSON: {e}."), fix)
    })?;
    if let Some(file) = others::recognise(&whole, format) {
        return Ok(file);
    }
    if let Some(said) = format.filter(|f| *f != ImportFormat::Json) {
        let sentence = format!("The file has nothing of what {said} exports.");
        return Err(refused(
            "other_format",
            sentence,
            "Leave the format out, or choose another file.",
        ));
    }
    let items = whole.as_array().or_else(|| whole.get("posts")?.as_array()).ok_or_else(|| {
        let sentence = "The file holds no list of posts.".to_owned();
        refused("no_rows", sentence, "Write a list, `[{\"text\": …}]`, or `{\"posts\": […]}`.")
    })?;
    let mut unknown: Vec<Note> = Vec::new();
    let mut rows = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let mut row = Row { line: i as i64 + 1, ..Row::default() };
        let Some(fields) = item.as_object() else {
            row.wrong("", "no_object", "This is no object with fields as `{\"text\": …}`.");
            rows.push(row);
            continue;
        };
        for name in COLUMNS {
            let found = fields.iter().find(|(key, _)| column(key) == Some(name));
            if let Some((_, value)) = found {
                fill_json(&mut row, name, value);
            }
        }
        for key in fields.keys().filter(|key| column(key).is_none()) {
            if !unknown.iter().any(|n| n.column == *key) {
                let message = format!("The field `{key}` is not known and left out.");
                unknown.push(Note::warning(key, "unknown_column", message));
            }
        }
        rows.push(row);
    }
    Ok(File { format: ImportFormat::Json, rows, notes: unknown })
}

fn fill_json(row: &mut Row, column: &'static str, value: &Json) {
    let words = |value: &Json| {
        let items = value.as_array()?.iter();
        items.map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    match (column, value) {
        (_, Json::Null) => {}
        ("deliveries", value) => deliveries(row, value.clone()),
        ("thread", value) => match words(value) {
            Some(parts) => row.thread = parts,
            None => row.wrong(column, "invalid_field", "`thread` is no list of texts."),
        },
        (_, Json::String(text)) => fill(row, column, text),
        ("connections" | "media" | "alt", value) => match words(value) {
            Some(all) if column == "connections" => {
                row.connections = all.iter().map(|n| Wanted::named(n)).collect();
            }
            Some(all) if column == "media" => row.media = all,
            Some(all) => row.alt = all,
            None => row.wrong(column, "invalid_field", format!("`{column}` is no list of texts.")),
        },
        _ => row.wrong(column, "invalid_field", format!("`{column}` is no text.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        read(text.as_bytes(), None).expect(text).rows
    }

    #[test]
    fn headers_and_separators_are_forgiven() {
        for text in [
            "Text,Scheduled At,CONNECTIONS\nHi,tomorrow 9:00,alice; bob\n",
            "\u{feff}text;scheduled_at;connections\r\nHi;tomorrow 9:00;\"alice; bob\"\r\n",
            "text\tscheduled-at\tconnections\nHi\ttomorrow 9:00\talice;bob",
            r#"[{"Text": "Hi", "scheduled_at": "tomorrow 9:00", "connections": ["alice", "bob"]}]"#,
            r#"{"posts": [{"text": "Hi", "scheduledAt": "tomorrow 9:00", "connections": "alice;bob"}]}"#,
        ] {
            let found = rows(text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(
                (found[0].text.as_str(), found[0].scheduled_at.as_str()),
                ("Hi", "tomorrow 9:00")
            );
            let names: Vec<&str> = found[0].connections.iter().map(|w| w.name.as_str()).collect();
            assert_eq!(names, ["alice", "bob"], "{text}");
        }
    }

    #[test]
    fn what_is_unknown_is_named_and_what_cannot_be_read_refused() {
        let file = read(b"text,mood\nHi,good\n", None).unwrap();
        assert_eq!(file.notes[0].message, "The column `mood` is not known and left out.");
        let long = "text\n".to_owned() + &"x\n".repeat(MOST_ROWS + 1);
        for (bytes, code) in [
            (b"a,b\n1,2\n".to_vec(), "no_columns"),
            (b"text\n".to_vec(), "no_rows"),
            (b"".to_vec(), "no_columns"),
            (b"text\nm\xfcde\n".to_vec(), "not_utf8"),
            (b"{\"text\": ".to_vec(), "invalid_json"),
            (b"{}".to_vec(), "no_rows"),
            (long.into_bytes(), "import_too_large"),
        ] {
            assert_eq!(read(&bytes, None).unwrap_err().code, code);
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let found = rows("text\n\"two\nlines\"\n\nlast\n");
        assert_eq!(found.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 5]);
        let found = rows("text,title\nHi, there, you\n");
        assert_eq!(found[0].notes[0].code, "too_many_cells");
    }

    #[test]
    fn the_same_row_is_known_again_and_its_twin_is_another() {
        let (one, two) = (rows("text\nHi\n"), rows("title,TEXT\n,Hi\n"));
        assert_eq!(one[0].hash(0), two[0].hash(0));
        assert_ne!(one[0].hash(0), one[0].hash(1));
    }
}

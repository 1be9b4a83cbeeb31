//! What is inside a mail message: headers, parts, encodings (RFC 2045, RFC 2047, RFC 2231).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A message, or a part of one.
pub(crate) struct Part {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Part {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = match end {
            Some(at) => (&bytes[..at], &bytes[at + 4..]),
            None => (bytes, &b""[..]),
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in String::from_utf8_lossy(head).split("\r\n") {
            match (line.starts_with([' ', '\t']), headers.last_mut()) {
                (true, Some((_, value))) => value.push_str(line),
                _ => {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
        }
        Self { headers, body: body.to_vec() }
    }

    /// Every value of this header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.headers.iter().filter(|(n, _)| n == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.all(name).first().map(|value| (*value).to_owned())
    }

    /// The content type without its parameters.
    pub(crate) fn kind(&self) -> String {
        let kind = self.header("content-type").unwrap_or_else(|| "text/plain".to_owned());
        kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Every part that holds no others.
    pub(crate) fn leaves(&self) -> Vec<Self> {
        let kind = self.header("content-type").unwrap_or_default();
        let boundary =
            parameter(&kind, "boundary").filter(|_| self.kind().starts_with("multipart/"));
        let Some(boundary) = boundary else {
            return vec![Self { headers: self.headers.clone(), body: self.body.clone() }];
        };
        let mark = format!("\r\n--{boundary}").into_bytes();
        // The first boundary may stand at the very beginning.
        let body = [&b"\r\n"[..], &self.body].concat();
        let mut cuts = Vec::new();
        let mut at = 0;
        while let Some(found) = body[at..].windows(mark.len()).position(|w| w == mark) {
            cuts.push(at + found);
            at += found + mark.len();
        }
        let mut leaves = Vec::new();
        for two in cuts.windows(2) {
            let part = &body[two[0] + mark.len()..two[1]];
            let part = part.strip_prefix(b"\r\n").unwrap_or(part);
            leaves.extend(Self::read(part).leaves());
        }
        leaves
    }

    /// The body without its transfer encoding.
    pub(crate) fn content(&self) -> Vec<u8> {
        let encoding = self.header("content-transfer-encoding").unwrap_or_default();
        match encoding.to_ascii_lowercase().as_str() {
            "base64" => {
                let letters = |b: &u8| !b.is_ascii_whitespace();
                let text: Vec<u8> = self.body.iter().copied().filter(letters).collect();
                STANDARD.decode(text).unwrap_or_default()
            }
            "quoted-printable" => printable(&self.body),
            _ => self.body.clone(),
        }
    }

    pub(crate) fn file_name(&self) -> Option<String> {
        let disposition = self.header("content-disposition")?;
        let plain = parameter(&disposition, "filename").map(|name| words(&name));
        let extended = || {
            let coded = parameter(&disposition, "filename*")?;
            let (_, coded) = coded.split_once("''")?;
            let bytes = printable(coded.replace('%', "=").as_bytes());
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        plain.or_else(extended)
    }
}

/// `boundary` of `multipart/mixed; boundary="x"`.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        let value = value.trim().trim_matches('"').to_owned();
        key.trim().eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Quoted-printable, with its soft line ends taken out.
fn printable(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = text.get(at) {
        let two = text.get(at + 1..at + 3);
        let hex = two.and_then(|two| std::str::from_utf8(two).ok());
        match (byte, two, hex.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'=', Some(b"\r\n"), _) => at += 3,
            (b'=', _, Some(code)) => {
                out.push(code);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Encoded words of a header as text: `=?utf-8?b?…?=`.
pub(crate) fn words(header: &str) -> String {
    let (mut out, mut rest, mut coded) = (Vec::new(), header, false);
    while let Some((before, after)) = rest.split_once("=?") {
        let mut parts = after.splitn(4, '?');
        let (_, how, text, end) = (parts.next(), parts.next(), parts.next(), parts.next());
        let read = match (how, text) {
            (Some("b" | "B"), Some(text)) => STANDARD.decode(text).ok(),
            (Some("q" | "Q"), Some(text)) => Some(printable(text.replace('_', " ").as_bytes())),
            _ => None,
        };
        let Some((read, end)) = read.zip(end.and_then(|end| end.strip_prefix('='))) else { break };
        // White space between two encoded words is none.
        if !(coded && before.trim().is_empty()) {
            out.extend_from_slice(before.as_bytes());
        }
        out.extend(read);
        (rest, coded) = (end, true);
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart() {
        let message = "Subject: =?utf-8?b?R3LDvMOf?= =?utf-8?q?e_an=20alle?= now\r\n\
            Content-Type: multipart/mixed;\r\n boundary=\"a\"\r\n\r\n\
            --a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            Gr=C3=BC=C3=9Fe=\r\n!\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b--\r\n\
            --a\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\
            Content-Disposition: attachment; filename=\"p 1.png\"\r\n\r\nAQID\r\nBA==\r\n--a--\r\n";
        let part = Part::read(message.as_bytes());
        assert_eq!(words(&part.header("subject").unwrap()), "Grüße an alle now");
        let leaves = part.leaves();
        let kinds: Vec<_> = leaves.iter().map(Part::kind).collect();
        assert_eq!(kinds, ["text/plain", "text/html", "image/png"]);
        assert_eq!(leaves[0].content(), "Grüße!".as_bytes());
        assert_eq!(leaves[2].content(), [1, 2, 3, 4]);
        assert_eq!(leaves[2].file_name().as_deref(), Some("p 1.png"));
        assert_eq!(Part::read(b"").leaves().len(), 1);
        assert_eq!(words("plain =? text"), "plain =? text");
    }
}

//! Content identifiers: the DAG-CBOR form of a record, and CIDs of records and of raw bytes.
//!
//! Real ones, so that equal content has an equal CID and a client that computes it agrees.
//! Source: the DAG-CBOR and CID specifications of IPLD, and the data model of the AT Protocol.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Map, Value};

use crate::world::sha256;

const DAG_CBOR: u8 = 0x71;
const RAW: u8 = 0x55;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The CID of a record; the error says what the data model cannot hold.
pub(crate) fn cid_of_record(record: &Value) -> Result<String, String> {
    let mut cbor = Vec::new();
    encode(record, &mut cbor)?;
    Ok(cid(DAG_CBOR, &cbor))
}

/// The CID of bytes.
pub(crate) fn cid_of_bytes(bytes: &[u8]) -> String {
    cid(RAW, bytes)
}

pub(crate) fn is_cid(text: &str) -> bool {
    let bytes = text.strip_prefix('b').and_then(from_base32);
    bytes.is_some_and(|bytes| bytes.len() == 36 && bytes[0] == 1)
}

fn cid(codec: u8, data: &[u8]) -> String {
    let mut bytes = vec![1, codec, 0x12, 0x20];
    bytes.extend(sha256(data));
    format!("b{}", base32(&bytes))
}

/// RFC 4648 in lower case, without padding.
pub(crate) fn base32(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len() * 8 / 5 + 1);
    let (mut buffer, mut bits) = (0_u32, 0);
    for &byte in data {
        buffer = buffer << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(BASE32[(buffer >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        out.push(char::from(BASE32[(buffer << (5 - bits) & 31) as usize]));
    }
    out
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut buffer, mut bits) = (0_u32, 0);
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    for byte in text.bytes() {
        let value = BASE32.iter().position(|b| *b == byte)?;
        buffer = buffer << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits & 0xFF) as u8);
        }
    }
    Some(out)
}

fn encode(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Null => out.push(0xF6),
        Value::Bool(flag) => out.push(if *flag { 0xF5 } else { 0xF4 }),
        Value::Number(number) => {
            let number = number.as_i64().ok_or_else(|| {
                format!(
                    "Expected one of null, boolean, integer, string, cid, bytes, array or object \
                     value type (got {number}) at $.record"
                )
            })?;
            if number < 0 {
                head(1, number.unsigned_abs() - 1, out);
            } else {
                head(0, number.unsigned_abs(), out);
            }
        }
        Value::String(text) => {
            head(3, text.len() as u64, out);
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            head(4, items.len() as u64, out);
            for item in items {
                encode(item, out)?;
            }
        }
        Value::Object(fields) => encode_object(fields, out)?,
    }
    Ok(())
}

fn encode_object(fields: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), String> {
    if fields.len() == 1 {
        if let Some(Value::String(link)) = fields.get("$link") {
            let bytes = link.strip_prefix('b').and_then(from_base32);
            let bytes = bytes.ok_or_else(|| format!("`{link}` is not a CID"))?;
            // Tag 42, a CID, as bytes with the multibase prefix 0.
            out.extend([0xD8, 42]);
            head(2, bytes.len() as u64 + 1, out);
            out.push(0);
            out.extend(bytes);
            return Ok(());
        }
        if let Some(Value::String(text)) = fields.get("$bytes") {
            let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
            let bytes = bytes.map_err(|_| "`$bytes` is not base64".to_owned())?;
            head(2, bytes.len() as u64, out);
            out.extend(bytes);
            return Ok(());
        }
    }
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    head(5, sorted.len() as u64, out);
    for (key, value) in sorted {
        head(3, key.len() as u64, out);
        out.extend(key.as_bytes());
        encode(value, out)?;
    }
    Ok(())
}

/// A CBOR head: major type and argument, in the shortest form.
fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major | bytes[7]),
        24..=0xFF => out.extend([major | 24, bytes[7]]),
        0x100..=0xFFFF => {
            out.push(major | 25);
            out.extend(&bytes[6..]);
        }
        0x1_0000..=0xFFFF_FFFF => {
            out.push(major | 26);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_cid_of_known_data_is_the_known_cid() {
        // The CID of an empty map and of the raw bytes `hello world`, as IPLD's tools print them.
        assert_eq!(
            cid_of_record(&json!({})).unwrap(),
            "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
        );
        assert_eq!(
            cid_of_bytes(b"hello world"),
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
        );
    }

    #[test]
    fn keys_are_sorted_by_length_first_and_links_are_tagged() {
        let mut out = Vec::new();
        encode(&json!({"bb": 1, "a": [true, null, -1, 300], "aa": "é"}), &mut out).unwrap();
        assert_eq!(
            out,
            [
                0xA3, 0x61, b'a', 0x84, 0xF5, 0xF6, 0x20, 0x19, 0x01, 0x2C, 0x62, b'a', b'a', 0x62,
                0xC3, 0xA9, 0x62, b'b', b'b', 0x01
            ]
        );
        let mut out = Vec::new();
        let link = cid_of_bytes(b"hello world");
        encode(&json!({ "$link": link }), &mut out).unwrap();
        assert_eq!(&out[..6], [0xD8, 42, 0x58, 37, 0, 1]);
        assert_eq!(out.len(), 41);
        assert!(cid_of_record(&json!(1.5)).is_err());
    }
}

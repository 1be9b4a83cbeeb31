//! The door of the library: one uploaded file becomes a medium, or is refused with the reason.
//!
//! A file is typed by its content, never by its name. A picture is judged by its header before
//! anything is unfolded; a video goes straight to the disk, and is looked into later. The blob is
//! written before the row: a row without its file cannot happen, a file without its row only costs
//! space. `library.rs` looks after what is in, `derive.rs` makes the renditions.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWriteExt, BufWriter};

use super::library::{clean_alt, clean_name, enqueue, no_store, tell};
use super::scratch::{self, Scratch};
use super::usage::{self, Room};
use super::{blobs, derive, video, words};
use crate::App;
use crate::db::{Error, Tx};
use crate::domain::refusal::{Kind as No, Refusal};
use crate::ids;
use crate::store::library::index;
use crate::store::media::{self, Media, MediaState};
use carillon_pictures::PictureError;
use carillon_pictures::probe::{self, Kind};

/// Bytes by which a file is typed.
const HEAD: usize = 64;
/// How often, in bytes of a video, the disk is asked for its room.
const LOOK: u64 = 64 << 20;

/// Takes one picture or video in. Stops reading as soon as it is too large.
pub async fn upload<S, E>(
    app: &App,
    workspace: &str,
    name: &str,
    alt: &str,
    body: S,
) -> Result<Media, Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let medium = take(app, workspace, name, clean_alt(alt)?, None, body).await?;
    keep(app, &medium).await?;
    app.ring();
    Ok(medium)
}

/// Puts a file into the store, `to` a place of its own or as the original of a medium of its own. The
/// row is the caller's to write.
pub(super) async fn take<S, E>(
    app: &App,
    workspace: &str,
    name: &str,
    alt: String,
    to: Option<&str>,
    body: S,
) -> Result<Media, Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let room = usage::room(app, workspace).await?;
    room.holds(app, 1)?;
    let (head, body) = head(body).await?;
    match probe::sniff(&head).filter(|kind| video::TAKEN.contains(kind)) {
        Some(kind) => {
            let scratch = Scratch::new(app).await.map_err(|e| no_disk(&e))?;
            let path = scratch.file("upload");
            let (bytes, sha256) = Box::pin(film(app, room, &path, body)).await?;
            let medium = filmed(app, workspace, name, alt, kind, bytes, sha256);
            let key = to.map_or_else(|| original(&medium), str::to_owned);
            app.blobs.put_file(&key, &path).await.map_err(|e| no_store(&e))?;
            Ok(medium)
        }
        None => {
            let data = read(body, app.config.media.image_max_bytes).await?;
            room.holds(app, data.len() as u64)?;
            let medium = judge(app, workspace, name, alt, &data)?;
            let key = to.map_or_else(|| original(&medium), str::to_owned);
            app.blobs.put(&key, data).await.map_err(|e| no_store(&e))?;
            Ok(medium)
        }
    }
}

/// The first bytes of a body, and all of it.
async fn head<S, E>(
    mut body: S,
) -> Result<(Bytes, impl Stream<Item = Result<Bytes, E>> + Unpin), Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut head = BytesMut::new();
    while head.len() < HEAD
        && let Some(chunk) = body.next().await
    {
        head.extend_from_slice(&chunk.map_err(|e| broke_off(&e))?);
    }
    let head = head.freeze();
    Ok((head.clone(), stream::iter([Ok(head)]).chain(body)))
}

/// A video on its way to the disk, never in memory; its bytes and their checksum.
async fn film<S, E>(
    app: &App,
    room: Room,
    path: &Path,
    mut body: S,
) -> Result<(u64, String), Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let max = app.config.media.video_max_bytes;
    let file = tokio::fs::File::create(path).await.map_err(|e| no_disk(&e))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let (mut bytes, mut looks, mut hash) = (0, 0, Sha256::new());
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|e| broke_off(&e))?;
        bytes += chunk.len() as u64;
        if bytes > max {
            return Err(too_large(max, "video", "CARILLON_VIDEO_MAX"));
        }
        room.holds(app, bytes)?;
        if bytes / LOOK >= looks {
            looks += 1;
            scratch::room(app, LOOK).map_err(|e| no_disk(&e))?.map_err(|full| no_room(&full))?;
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(|e| no_disk(&e))?;
    }
    file.flush().await.map_err(|e| no_disk(&e))?;
    Ok((bytes, hex(&hash.finalize())))
}

/// The row of a video that nobody has looked into yet.
pub(super) fn filmed(
    app: &App,
    workspace: &str,
    name: &str,
    alt: String,
    kind: Kind,
    bytes: u64,
    sha256: String,
) -> Media {
    let now = app.clock.now();
    Media {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        name: clean_name(name, kind.extension()),
        alt,
        content_type: kind.content_type().to_owned(),
        bytes: bytes as i64,
        width: 0,
        height: 0,
        sha256,
        state: MediaState::Pending,
        problem: None,
        facts: None,
        cut: Default::default(),
        frame: Default::default(),
        tags: String::new(),
        words: String::new(),
        version: 1,
        created_at: now,
        deleted_at: None,
    }
}

fn original(medium: &Media) -> String {
    blobs::key(&medium.workspace_id, &medium.id, "original")
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

async fn read<S, E>(mut body: S, max: u64) -> Result<Bytes, Refusal>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut data = BytesMut::new();
    while let Some(chunk) = body.next().await {
        data.extend_from_slice(&chunk.map_err(|e| broke_off(&e))?);
        if data.len() as u64 > max {
            // What it is matters more than how large it is.
            return Err(match probe::sniff(&data) {
                Some(kind) if kind.is_image() => too_large(max, "picture", "CARILLON_IMAGE_MAX"),
                other => unsupported(other),
            });
        }
    }
    Ok(data.freeze())
}

/// What the file is, by its header.
pub(super) fn judge(
    app: &App,
    workspace: &str,
    name: &str,
    alt: String,
    data: &[u8],
) -> Result<Media, Refusal> {
    if data.is_empty() {
        return Err(empty());
    }
    match probe::sniff(data) {
        Some(kind) if kind.is_image() => {}
        other => return Err(unsupported(other)),
    }
    let picture = probe::admitted(data, &derive::limits(app)).map_err(|e| refused(&e))?;
    let now = app.clock.now();
    Ok(Media {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        name: clean_name(name, picture.kind.extension()),
        alt,
        content_type: picture.kind.content_type().to_owned(),
        bytes: data.len() as i64,
        width: i64::from(picture.width),
        height: i64::from(picture.height),
        sha256: hex(&Sha256::digest(data)),
        state: MediaState::Pending,
        problem: None,
        facts: None,
        cut: Default::default(),
        frame: Default::default(),
        tags: String::new(),
        words: String::new(),
        version: 1,
        created_at: now,
        deleted_at: None,
    })
}

/// The row of a file that is in the store, with its job.
async fn keep(app: &App, medium: &Media) -> Result<(), Refusal> {
    let key = original(medium);
    let row = medium.clone();
    let kept = app.db.write(move |tx| async move { add(&tx, &row).await }).await;
    // A commit whose answer was lost may stand, and then the row needs its file.
    if kept.as_ref().is_err_and(|e| !matches!(e, Error::CommitUnknown(_)))
        && let Err(e) = app.blobs.delete(&key).await
    {
        tracing::warn!(error = %e, media = medium.id, "a file without a row stays in the store");
    }
    kept?;
    usage::watch_one(app, &medium.workspace_id).await;
    Ok(())
}

/// The row, with the job that makes its renditions.
pub(super) async fn add(tx: &Tx, medium: &Media) -> Result<(), Error> {
    media::add(tx, medium).await?;
    index(tx, medium, &words::of(medium)).await?;
    enqueue(tx, medium, medium.created_at).await?;
    tell(tx, "media.created", medium, medium.created_at).await
}

pub(super) fn empty() -> Refusal {
    let fix = "Choose another file.";
    Refusal::new(No::Invalid, "media_empty", "The file is empty.", fix)
}

fn broke_off(e: &impl std::fmt::Display) -> Refusal {
    tracing::info!(error = %e, "an upload broke off");
    let fix = "Send the file again; nothing was saved.";
    Refusal::new(No::Invalid, "upload_broke_off", "The upload broke off before its end.", fix)
}

/// `what` is the word for the kind of thing that the setting limits.
pub fn too_large(max: u64, what: &str, setting: &str) -> Refusal {
    let sentence = format!("The file is larger than the {} a {what} may have.", size(max));
    let fix = format!(
        "Choose a smaller {what}, or have whoever runs this installation raise the limit, the \
         setting `{setting}`."
    );
    Refusal::new(No::TooLarge, "media_too_large", sentence, fix)
}

fn no_room(full: &scratch::Full) -> Refusal {
    let sentence = format!("The server's disk is almost full: {} are left.", size(full.free));
    let fix = "Have whoever runs this installation make room, then send the file again; nothing \
               was saved.";
    Refusal::new(No::Unavailable, "disk_full", sentence, fix)
}

fn no_disk(e: &std::io::Error) -> Refusal {
    no_store(&blobs::BlobError::Unavailable(e.to_string()))
}

pub(super) fn unsupported(kind: Option<Kind>) -> Refusal {
    let sentence = match kind {
        Some(kind) if kind.is_video() => {
            format!("Videos of the type `{}` are not taken.", kind.content_type())
        }
        _ => "The file is no picture or video that Carillon takes.".to_owned(),
    };
    let fix = "Choose a JPEG, PNG, WebP or GIF picture, or an MP4, MOV, WebM or MKV video; what \
               counts is the content, not the name.";
    Refusal::new(No::Unsupported, "media_type", sentence, fix)
}

fn refused(e: &PictureError) -> Refusal {
    tracing::info!(error = %e, "a picture was refused");
    match *e {
        PictureError::TooManyPixels { width, height, max, max_side } => {
            let sentence = format!(
                "The picture has {width} × {height} pixels; one of its type may have {} million, \
                 {max_side} on a side.",
                max / 1_000_000
            );
            let fix = "Make it smaller, or have whoever runs this installation raise the limit, the \
                       setting `CARILLON_IMAGE_MAX_PIXELS`.";
            Refusal::new(No::TooLarge, "media_too_many_pixels", sentence, fix)
        }
        PictureError::Unsupported(kind) => {
            let sentence =
                format!("Pictures of the type `{}` are not taken yet.", kind.content_type());
            let fix = "Save it as JPEG or PNG and upload that.";
            Refusal::new(No::Unsupported, "media_type", sentence, fix)
        }
        _ => {
            let sentence = "The picture is damaged and cannot be read.";
            let fix = "Open it in a picture editor, save it anew and upload that file.";
            Refusal::new(No::Unsupported, "media_broken", sentence, fix)
        }
    }
}

/// `4 GB`, `5 MB`, `1.5 MB`, `800 KB`
pub(super) fn size(bytes: u64) -> String {
    let in_unit = |unit: u64, word: &str| {
        let tenths = bytes * 10 / unit;
        match tenths % 10 {
            0 => format!("{} {word}", tenths / 10),
            tenth => format!("{}.{tenth} {word}", tenths / 10),
        }
    };
    match bytes {
        1_000_000_000.. => in_unit(1_000_000_000, "GB"),
        1_000_000.. => in_unit(1_000_000, "MB"),
        1_000.. => in_unit(1_000, "KB"),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;

    use super::*;

    fn of(name: &str, data: &[u8]) -> Vec<u8> {
        let mut file = name.as_bytes().to_vec();
        file.extend_from_slice(data);
        file
    }

    /// Reads `chunks` with room for ten bytes; and how many chunks were asked for.
    fn read_ten(chunks: Vec<Vec<u8>>) -> (Result<Bytes, Refusal>, usize) {
        let asked = Cell::new(0);
        let body = stream::iter(chunks).map(|chunk| {
            asked.set(asked.get() + 1);
            Ok::<_, std::convert::Infallible>(Bytes::from(chunk))
        });
        let read = read(body, 10).now_or_never().expect("nothing to wait for");
        (read, asked.get())
    }

    #[test]
    fn reading_stops_where_the_limit_is_passed() {
        let jpeg = b"\xff\xd8\xff\xe0".to_vec();
        let (read, asked) = read_ten(vec![jpeg.clone(), vec![0; 6]]);
        assert_eq!(read.expect("ten bytes").len(), 10);
        assert_eq!(asked, 2);
        let (read, asked) = read_ten(vec![jpeg, vec![0; 7], vec![0; 1000], vec![0; 1000]]);
        let refusal = read.expect_err("eleven bytes");
        assert_eq!((refusal.kind, refusal.code.as_str()), (No::TooLarge, "media_too_large"));
        assert_eq!(asked, 2, "nothing is read behind the limit");
    }

    #[test]
    fn what_is_too_large_is_still_refused_for_what_it_is() {
        let film = of("RIFF\x36\0\0\0AVI LIST", &[0; 20]);
        let (read, _) = read_ten(vec![film]);
        let refusal = read.expect_err("a film");
        assert_eq!((refusal.kind, refusal.code.as_str()), (No::Unsupported, "media_type"));
        assert_eq!(refusal.sentence, "Videos of the type `video/x-msvideo` are not taken.");
        let (read, _) = read_ten(vec![b"<html><body>hello</body>".to_vec()]);
        assert!(read.expect_err("a page").fix.contains("JPEG, PNG, WebP or GIF"));
    }

    #[test]
    fn a_body_is_whole_behind_its_head() {
        let chunks = [vec![1; 10], vec![2; 60], vec![3; 5]];
        let body = stream::iter(chunks.clone())
            .map(|chunk| Ok::<_, std::convert::Infallible>(Bytes::from(chunk)));
        let whole = async {
            let (head, body) = head(body).await.expect("nothing breaks off");
            (head, body.map(|chunk| chunk.expect("a chunk").to_vec()).collect::<Vec<_>>().await)
        };
        let (head, whole) = whole.now_or_never().expect("nothing to wait for");
        assert_eq!(head.len(), 70);
        assert_eq!(whole.concat(), chunks.concat());
    }

    #[test]
    fn limits_are_named_as_people_write_them() {
        for (bytes, says) in [
            (4_000_000_000, "4 GB"),
            (1_000_000_000, "1 GB"),
            (5_000_000, "5 MB"),
            (1_500_000, "1.5 MB"),
            (800_000, "800 KB"),
            (12_345_678, "12.3 MB"),
            (999, "999 bytes"),
        ] {
            assert_eq!(size(bytes), says);
        }
        assert_eq!(
            too_large(5_000_000, "picture", "CARILLON_IMAGE_MAX").sentence,
            "The file is larger than the 5 MB a picture may have."
        );
    }
}

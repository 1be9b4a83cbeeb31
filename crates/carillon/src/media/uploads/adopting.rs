//! Where an upload meets the library: may it come in, and if so as what.

use super::super::library::no_store;
use super::super::{blobs, intake, usage, video};
use crate::App;
use crate::domain::refusal::{Kind as No, Refusal};
use crate::store::media::Media;
use crate::store::uploads::{self, Upload};
use carillon_pictures::probe::{self, Kind};

/// So many of its first bytes say what a file is.
pub(super) const HEAD: u64 = 4096;

/// May a file of this length that begins so become a medium? Its kind, if it is a video.
pub(super) fn admits(app: &App, head: &[u8], length: u64) -> Result<Option<Kind>, Refusal> {
    let limits = &app.config.media;
    match probe::sniff(head) {
        Some(kind) if kind.is_image() && length > limits.image_max_bytes => {
            Err(intake::too_large(limits.image_max_bytes, "picture", "CARILLON_IMAGE_MAX"))
        }
        Some(kind) if kind.is_image() => Ok(None),
        Some(kind) if !video::TAKEN.contains(&kind) => Err(intake::unsupported(Some(kind))),
        Some(_) if length > limits.video_max_bytes => {
            Err(intake::too_large(limits.video_max_bytes, "video", "CARILLON_VIDEO_MAX"))
        }
        Some(kind) => Ok(Some(kind)),
        None => Err(intake::unsupported(None)),
    }
}

/// Makes a file that lies in the store whole a medium, which takes its upload's id; when.
pub(super) async fn adopt(app: &App, upload: &Upload, sha256: &str) -> Result<i64, Refusal> {
    let (workspace, name, alt) = (&upload.workspace_id, &upload.name, upload.alt.clone());
    let (key, length) = (blobs::key(workspace, &upload.id, "original"), upload.length as u64);
    let head = app.blobs.part(&key, 0..HEAD).await.map_err(|e| no_store(&e))?;
    let medium = match admits(app, &head, length)? {
        // Too large to be read again; looking into it tells what is not whole.
        Some(kind) => intake::filmed(app, workspace, name, alt, kind, length, sha256.to_owned()),
        None => {
            let data = app.blobs.get(&key).await.map_err(|e| no_store(&e))?;
            intake::judge(app, workspace, name, alt, &data)?
        }
    };
    if medium.sha256 != sha256 {
        return Err(damaged());
    }
    let medium = Media { id: upload.id.clone(), ..medium };
    let at = medium.created_at;
    let finished = app
        .db
        .write(move |tx| async move {
            if !uploads::finish(&tx, &medium.id, at).await? {
                return Err(super::moved_on());
            }
            intake::add(&tx, &medium).await?;
            Ok(at)
        })
        .await?;
    usage::watch_one(app, workspace).await;
    Ok(finished)
}

fn damaged() -> Refusal {
    let sentence = "The store gave back other bytes than had arrived.";
    let fix = "Send the file again; if this happens again, look at the disk.";
    Refusal::new(No::Invalid, "media_damaged", sentence, fix)
}

//! From the original to what networks take: derivatives made once after the upload, and the
//! rendition of one placement when it is sent.
//!
//! No network is ever given the original itself: it can carry where it was taken, by whom and with
//! what. The one exception is a GIF that moves, which has no such thing in it. Doing a derivation
//! again changes nothing, so it needs no fence.

use bytes::Bytes;
use carillon_networks::spec::{Derivative, MediaRule, Placement};
use unicode_segmentation::UnicodeSegmentation;

use super::blobs::{self, BlobError};
use super::video::{self, renditions};
use super::{Unfit, library, links};
use crate::App;
use crate::db::Error;
use crate::domain::alert::AlertKind;
use crate::domain::frame::{self, Frame};
use crate::domain::problem::Problem;
use crate::store::alerts;
use crate::store::media::{self, Made, Media, MediaState};
use carillon_pictures::probe;
use carillon_pictures::{Fit, Jpeg, Limits, Picture, PictureError};

/// The longer side of `full`, the whole picture for networks that cut none themselves.
const FULL_SIDE: u32 = 2048;
/// Most bytes of `full`; a placement that takes less gets it encoded anew.
const FULL_BYTES: u64 = 2 << 20;
/// How long a derivation may take before somebody looks whether it was lost, in ms.
const OVERDUE: i64 = 10 * 60_000;

/// Makes every derivative of a picture, and what is shown of a video. `Err` is trouble that passes:
/// the job is tried again.
pub async fn derive(app: &App, media_id: &str) -> anyhow::Result<()> {
    loop {
        match once(app, media_id).await {
            // No trouble that passes with time: who moves a picture's point is waiting for it.
            Err(e) if e.is::<CutAnew>() => {}
            done => return done,
        }
    }
}

/// Somebody framed it in another way while its renditions were made.
#[derive(Debug, thiserror::Error)]
#[error("it was cut anew meanwhile")]
struct CutAnew;

async fn once(app: &App, media_id: &str) -> anyhow::Result<()> {
    let Some(medium) = begin(app, media_id).await? else { return Ok(()) };
    if medium.is_video() {
        return Box::pin(video::prepare(app, medium)).await;
    }
    let original = match app.blobs.get(&key(&medium, &medium.original())).await {
        Ok(original) => original,
        Err(BlobError::Missing) => {
            let gone = "The picture's file is no longer in the store.";
            return fail(app, medium, never(gone)).await;
        }
        Err(e) => return Err(e.into()),
    };
    let limits = limits(app);
    let frame = medium.frame;
    let rendered = tokio::task::spawn_blocking(move || render(original, frame, &limits)).await;
    let renditions = match rendered {
        Ok(Ok(renditions)) => renditions,
        Ok(Err(e)) => return fail(app, medium, never(&e.to_string())).await,
        Err(e) => {
            // A picture that makes a decoder panic will do so every time.
            tracing::error!(error = %e, media = medium.id, "a decoder gave up on a picture");
            return fail(app, medium, never("The picture cannot be read.")).await;
        }
    };
    let mut made = Vec::with_capacity(renditions.len());
    for (kind, jpeg) in renditions {
        let (width, height) = (i64::from(jpeg.width), i64::from(jpeg.height));
        made.push(Made::ready(kind, width, height, jpeg.data.len() as i64));
        app.blobs.put(&key(&medium, kind), jpeg.data.into()).await?;
    }
    finish(app, medium, made).await
}

/// The medium, if there is something to do for it.
async fn begin(app: &App, id: &str) -> Result<Option<Media>, Error> {
    let (id, now) = (id.to_owned(), app.clock.now());
    app.db
        .write(move |tx| async move {
            if media::begin(&tx, &id, now).await? { media::load(&tx, &id).await } else { Ok(None) }
        })
        .await
}

/// The renditions cut of every picture, with their width and height.
pub const DERIVATIVES: [(Derivative, (u32, u32)); 3] = [
    (Derivative::Square, (1080, 1350)),
    (Derivative::Story, (1080, 1920)),
    (Derivative::Landscape, (1920, 1080)),
];

fn fit_of(frame: Frame) -> Fit {
    match frame.fit {
        frame::Fit::Crop => Fit::Around { x: frame.focus_x, y: frame.focus_y },
        frame::Fit::Pad => Fit::Pad,
    }
}

/// Every rendition by its kind.
fn render(
    original: Bytes,
    frame: Frame,
    limits: &Limits,
) -> Result<Vec<(&'static str, Jpeg)>, PictureError> {
    let picture = Picture::decode(&original, limits)?;
    // It can be as large as its pixels.
    drop(original);
    let full = picture.fit(FULL_BYTES, FULL_SIDE)?;
    // From the smaller picture: scaling the original costs more than to read this one.
    let thumb =
        carillon_pictures::thumbnail(&full.data, carillon_pictures::THUMBNAIL_SIDE, limits)?;
    let cut = picture.cut(&DERIVATIVES.map(|(_, size)| size), fit_of(frame))?;
    let cut = DERIVATIVES.iter().zip(cut).map(|((derivative, _), jpeg)| (kind(*derivative), jpeg));
    Ok([("full", full), ("thumb", thumb)].into_iter().chain(cut).collect())
}

pub(super) async fn finish(app: &App, medium: Media, made: Vec<Made>) -> anyhow::Result<()> {
    let (now, networks) = (app.clock.now(), app.networks);
    let (m, rows) = (medium.clone(), made.clone());
    let stands = app
        .db
        .write(move |tx| async move {
            match media::load(&tx, &m.id).await? {
                Some(now) if (now.cut, now.frame, now.version) == (m.cut, m.frame, m.version) => {}
                Some(_) => return Ok(None),
                None => return Ok(Some(false)),
            }
            for made in &rows {
                media::made(&tx, &m.id, made, now).await?;
            }
            if let Some(facts) = &m.facts {
                media::learn(&tx, &m.id, (m.width, m.height), facts, now).await?;
            }
            media::ready(&tx, &m, now).await?;
            let m = Media { state: MediaState::Ready, ..m };
            if m.is_video() {
                renditions::ask(&tx, networks, &m, now).await?;
            }
            alerts::clear(&tx, AlertKind::MediaFailed, &m.id, now).await?;
            library::tell(&tx, "media.ready", &m, now).await?;
            Ok::<_, Error>(Some(true))
        })
        .await?;
    let Some(stands) = stands else { anyhow::bail!(CutAnew) };
    app.ring();
    if !stands {
        // It was thrown away while its renditions were made.
        for made in &made {
            app.blobs.delete(&key(&medium, &made.kind)).await?;
        }
    }
    Ok(())
}

pub(super) async fn fail(app: &App, medium: Media, problem: Problem) -> anyhow::Result<()> {
    let now = app.clock.now();
    app.db
        .write(move |tx| async move {
            media::set_state(&tx, &medium.id, MediaState::Failed, Some(&problem), now).await?;
            library::warn(&tx, &medium, &problem, now).await?;
            let medium = Media { state: MediaState::Failed, ..medium };
            library::tell(&tx, "media.failed", &medium, now).await
        })
        .await?;
    app.ring();
    Ok(())
}

/// Gives media and renditions that were begun long ago and that no job looks after a new job; how
/// many.
pub async fn safety_net(app: &App) -> anyhow::Result<usize> {
    let now = app.clock.now();
    let found = app
        .db
        .write(move |tx| async move {
            let stranded = media::stranded(&tx, now - OVERDUE).await?;
            for medium in &stranded {
                library::enqueue(&tx, medium, now).await?;
            }
            let late = renditions::stranded(&tx, now - OVERDUE, now).await?;
            Ok::<_, Error>(stranded.len() + late)
        })
        .await?;
    if found > 0 {
        tracing::info!(found, "media that nobody worked on have a job again");
        app.ring();
    }
    Ok(found)
}

/// A medium as this placement takes it.
pub async fn rendition(
    app: &App,
    medium: &Media,
    placement: &Placement,
) -> Result<carillon_networks::Media, Unfit> {
    match medium.state {
        MediaState::Ready => {}
        MediaState::Pending | MediaState::Processing => return Err(Unfit::NotYet),
        MediaState::Failed => {
            let problem = medium.problem.clone();
            return Err(Unfit::Never(problem.unwrap_or_else(|| never("The picture is broken."))));
        }
    }
    if medium.is_video() {
        return renditions::of(app, medium, placement).await;
    }
    let rule = &placement.media;
    let (kind, data) = match moving(app, medium, rule).await? {
        Some(gif) => (medium.original(), gif),
        None => {
            let (kind, data) = still(app, medium, rule).await?;
            (kind.to_owned(), data)
        }
    };
    // Of what is sent, not of what was uploaded.
    let header = probe::probe(&data).map_err(|e| Unfit::Never(never(&e.to_string())))?;
    let content_type = header.kind.content_type();
    if !rule.types.contains(&content_type) {
        let says = format!("This place takes no pictures of the type `{content_type}`.");
        return Err(Unfit::Never(never(&says)));
    }
    if let Some(problem) = misfit(header.width, header.height, rule) {
        return Err(Unfit::Never(problem));
    }
    let stem = medium.name.rsplit_once('.').map_or(medium.name.as_str(), |(stem, _)| stem);
    Ok(carillon_networks::Media {
        id: medium.id.clone(),
        content_type: content_type.to_owned(),
        width: header.width,
        height: header.height,
        alt: cut(&medium.alt, rule.alt_max),
        file_name: format!("{stem}.{}", header.kind.extension()),
        data,
        source: None,
        duration: None,
        cover: None,
        url: if rule.pull {
            links::public(app, &medium.workspace_id, &medium.id, &kind).await
        } else {
            String::new()
        },
    })
}

/// The original, where it is a GIF that moves and may stay one.
async fn moving(app: &App, medium: &Media, rule: &MediaRule) -> Result<Option<Bytes>, Unfit> {
    let may_stay = rule.derivative == Derivative::Original
        && medium.content_type == "image/gif"
        && rule.types.contains(&"image/gif")
        && medium.bytes as u64 <= rule.max_bytes;
    if !may_stay {
        return Ok(None);
    }
    let data = blob(app, medium, &medium.original()).await?;
    Ok(probe::probe(&data).is_ok_and(|p| p.animated).then_some(data))
}

/// The JPEG of the rule's kind, encoded anew where the rule allows fewer bytes than it has.
async fn still(
    app: &App,
    medium: &Media,
    rule: &MediaRule,
) -> Result<(&'static str, Bytes), Unfit> {
    let kind = kind(rule.derivative);
    let data = blob(app, medium, kind).await?;
    let max = rule.max_bytes;
    if data.len() as u64 <= max {
        return Ok((kind, data));
    }
    if rule.pull {
        // The network fetches the stored file, so there is no other one to give it.
        return Err(Unfit::Never(never("The picture has more bytes than this place takes.")));
    }
    let limits = limits(app);
    let fitted =
        tokio::task::spawn_blocking(move || carillon_pictures::fit(&data, max, FULL_SIDE, &limits))
            .await;
    match fitted {
        Ok(Ok(jpeg)) => Ok((kind, jpeg.data.into())),
        Ok(Err(e)) => Err(Unfit::Never(never(&e.to_string()))),
        Err(e) => Err(Unfit::Away(format!("The picture was not encoded: {e}."))),
    }
}

pub(super) async fn blob(app: &App, medium: &Media, kind: &str) -> Result<Bytes, Unfit> {
    match app.blobs.get(&key(medium, kind)).await {
        Ok(data) => Ok(data),
        Err(BlobError::Missing) => {
            // Made anew it is there, or it turns out that the original is lost too.
            tracing::warn!(media = medium.id, kind, "a rendition is not in the store");
            library::reprocess(app, None, &medium.id)
                .await
                .map_err(|refusal| Unfit::Away(refusal.sentence))?;
            Err(Unfit::NotYet)
        }
        Err(e) => {
            tracing::warn!(error = %e, media = medium.id, "the media store refused");
            Err(Unfit::Away("The media store is not available at the moment.".to_owned()))
        }
    }
}

/// What is wrong with this shape, if the rule has one in mind.
fn misfit(width: u32, height: u32, rule: &MediaRule) -> Option<Problem> {
    // A pixel's rounding must not cost a post.
    const SLACK: f32 = 0.01;
    let (narrowest, widest) = rule.ratio?;
    let ratio = width as f32 / height as f32;
    let (is, limit) = match ratio {
        r if r < narrowest * (1.0 - SLACK) => ("narrower", narrowest),
        r if r > widest * (1.0 + SLACK) => ("wider", widest),
        _ => return None,
    };
    Some(never(&format!(
        "The picture is {is} than this place takes: {width} × {height} pixels, where the width may \
         be {limit} times the height."
    )))
}

fn never(sentence: &str) -> Problem {
    let next = "Upload another version of the picture and put it in its place.";
    Problem::new("media", sentence, "edit_post", next)
}

/// The largest picture that is decoded here.
pub(super) fn limits(app: &App) -> Limits {
    Limits { max_pixels: app.config.media.image_max_pixels, ..Limits::default() }
}

fn key(medium: &Media, kind: &str) -> String {
    blobs::key(&medium.workspace_id, &medium.id, kind)
}

/// The stored rendition that stands for a derivative.
fn kind(derivative: Derivative) -> &'static str {
    match derivative {
        Derivative::Original => "full",
        Derivative::Square => "square",
        Derivative::Story => "story",
        Derivative::Landscape => "landscape",
    }
}

/// At most `max` characters, whole ones as people see them.
pub(super) fn cut(text: &str, max: usize) -> String {
    let mut left = max;
    text.graphemes(true)
        .take_while(|g| {
            let size = g.chars().count();
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_between_what_people_see_as_characters() {
        assert_eq!(cut("Ahoy", 4), "Ahoy");
        assert_eq!(cut("Ahoy", 3), "Aho");
        assert_eq!(cut("👩‍👩‍👧 out", 4), "", "a family of five code points is not cut apart");
        assert_eq!(cut("👩‍👩‍👧 out", 6), "👩‍👩‍👧 ");
        assert_eq!(cut("anything", 0), "");
    }

    #[test]
    fn a_shape_is_judged_by_the_rule_with_slack_for_rounding() {
        let rule = |ratio| MediaRule {
            min: 0,
            max: 1,
            types: &[],
            max_bytes: 0,
            ratio,
            derivative: Derivative::Original,
            pull: false,
            alt_max: 0,
            video: None,
        };
        let instagram = rule(Some((0.8, 1.91)));
        assert_eq!(misfit(1080, 1350, &instagram), None);
        assert_eq!(misfit(1079, 1350, &instagram), None);
        assert_eq!(misfit(1910, 1000, &instagram), None);
        let says = |w, h| misfit(w, h, &instagram).expect("refused").sentence;
        assert!(says(700, 1000).contains("narrower than this place takes: 700 × 1000 pixels"));
        assert!(says(2000, 1000).contains("wider"));
        assert_eq!(misfit(1, 1000, &rule(None)), None);
    }

    #[test]
    fn every_network_that_takes_pictures_takes_what_is_made() {
        for network in carillon_networks::ALL {
            let pictures = |p: &&Placement| !p.media.types.is_empty();
            for placement in network.spec().placements.iter().filter(pictures) {
                assert!(placement.media.types.contains(&"image/jpeg"), "{}", network.spec().id);
                let stored = placement.media.pull && placement.media.max_bytes < FULL_BYTES;
                assert!(!stored, "{}: what is fetched cannot be made smaller", network.spec().id);
            }
        }
    }
}

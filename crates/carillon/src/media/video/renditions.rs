//! What networks are sent of a video: asked for when a post with that placement is scheduled, made
//! once for all places with the same need, kept until the video is thrown away or cut anew.
//!
//! A rendition is a row of `derivative` and a job of its own. While it is made somebody looks every
//! second whether it is still wanted; ffmpeg ends with the work that started it. What is made is put
//! into the store whole, and doing it again changes nothing, so it needs no fence.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use carillon_networks::spec::Placement;
use tokio::sync::watch;

use super::inspect::{self, Unread, Video};
use super::need::{Need, need};
use super::program::{self, Failed, Limits};
use super::{MEMORY, broken, encode, never, problem, tone_maps};
use crate::App;
use crate::app::{self, Networks};
use crate::db::{Error, Tx};
use crate::domain::alert::AlertKind;
use crate::domain::job::{Claim, Kind as Job, NewJob};
use crate::domain::problem::Problem;
use crate::media::blobs::{self, BlobError};
use crate::media::scratch::{self, Scratch};
use crate::media::{Unfit, derive, library, links};
use crate::store::media::{self, Made, Media, MediaState};
use crate::store::{alerts, queue, renditions};
use carillon_pictures::probe::Kind;

/// How many videos of one workspace are converted at once.
const WIDTH: i64 = 2;

/// Asks for what the deliveries that are still to go out need of a video.
pub async fn ask(tx: &Tx, networks: Networks, medium: &Media, now: i64) -> Result<(), Error> {
    for need in wanted(tx, networks, medium).await? {
        ask_for(tx, medium, need, now).await?;
    }
    Ok(())
}

/// The same for every video of a post.
pub async fn ask_for_post(tx: &Tx, networks: Networks, post: &str, now: i64) -> Result<(), Error> {
    for medium in media::of_post(tx, post).await? {
        if medium.is_video() && medium.state == MediaState::Ready {
            ask(tx, networks, &medium, now).await?;
        }
    }
    Ok(())
}

async fn ask_for(tx: &Tx, medium: &Media, need: Need, now: i64) -> Result<(), Error> {
    let kind = need.kind();
    if renditions::ask(tx, &medium.id, &kind, now).await? {
        enqueue(tx, &medium.workspace_id, &medium.id, &kind, now).await?;
    }
    Ok(())
}

async fn enqueue(
    tx: &Tx,
    workspace: &str,
    medium: &str,
    kind: &str,
    now: i64,
) -> Result<(), Error> {
    let job = NewJob {
        kind: Job::Transcode,
        lane: format!("video:{workspace}"),
        width: WIDTH,
        subject: subject(medium, kind),
        run_at: now,
        unique_key: None,
    };
    queue::add(tx, &job, now).await.map(drop)
}

/// What a job for a rendition works on.
pub(in crate::media) fn subject(medium: &str, kind: &str) -> String {
    format!("{medium}/{kind}")
}

async fn wanted(tx: &Tx, networks: Networks, medium: &Media) -> Result<BTreeSet<Need>, Error> {
    let places = renditions::wanted(tx, &medium.id).await?;
    let needs = places.iter().filter_map(|(network, placement)| {
        let rule = app::find(networks, network)?.spec().placement(placement)?.media.video?;
        need("", &rule, medium)?.ok()
    });
    Ok(needs.collect())
}

/// Gives renditions that nobody works on a job again; how many.
pub(in crate::media) async fn stranded(tx: &Tx, before: i64, now: i64) -> Result<usize, Error> {
    let found = renditions::stranded(tx, before).await?;
    for (medium, workspace, kind) in &found {
        enqueue(tx, workspace, medium, kind, now).await?;
    }
    Ok(found.len())
}

/// A video as a placement takes it.
pub(in crate::media) async fn of(
    app: &App,
    medium: &Media,
    placement: &Placement,
) -> Result<carillon_networks::Media, Unfit> {
    let Some(rule) = &placement.media.video else {
        return Err(Unfit::Never(never("This place takes no videos.")));
    };
    let need = match need("This place", rule, medium) {
        None => return Err(Unfit::Never(never("The video has to be processed again."))),
        Some(Err(misfit)) => return Err(Unfit::Never(never(&misfit.message))),
        Some(Ok(need)) => need,
    };
    let kind = need.kind();
    let (id, of) = (medium.id.clone(), kind.clone());
    let found = app.db.read(move |tx| async move { renditions::find(&tx, &id, &of).await }).await;
    let made = match found.map_err(|e| away(&e))? {
        Some(made) if made.state == MediaState::Failed => {
            let failed = made.problem.unwrap_or_else(|| never("The video could not be converted."));
            return Err(Unfit::Never(failed));
        }
        Some(made) if made.is_ready() => made,
        Some(_) => return Err(Unfit::NotYet),
        None => return Err(ask_now(app, medium, need, false).await),
    };
    let source = match app.blobs.source(blob(medium, &kind)).await {
        Ok(source) => source,
        Err(BlobError::Missing) => {
            tracing::warn!(media = medium.id, kind, "a rendition is not in the store");
            return Err(ask_now(app, medium, need, true).await);
        }
        Err(e) => return Err(away(&e)),
    };
    let length = medium.facts.as_ref().map(|facts| medium.cut.span(facts).1);
    let ms = |ms: i64| Duration::from_millis(ms.unsigned_abs());
    let stem = medium.name.rsplit_once('.').map_or(medium.name.as_str(), |(stem, _)| stem);
    Ok(carillon_networks::Media {
        id: medium.id.clone(),
        content_type: "video/mp4".to_owned(),
        width: made.width.try_into().unwrap_or_default(),
        height: made.height.try_into().unwrap_or_default(),
        alt: derive::cut(&medium.alt, placement.media.alt_max),
        file_name: format!("{stem}.mp4"),
        data: Default::default(),
        source: Some(Arc::new(source)),
        duration: length.map(ms),
        // Of what goes out.
        cover: medium.cut.cover_ms.map(|at| ms((at - medium.cut.start_ms.unwrap_or(0)).max(0))),
        url: if placement.media.pull {
            links::public(app, &medium.workspace_id, &medium.id, &kind).await
        } else {
            String::new()
        },
    })
}

/// Asks for a rendition that a delivery stands there for; `anew` when it is lost.
async fn ask_now(app: &App, medium: &Media, need: Need, anew: bool) -> Unfit {
    let (m, now) = (medium.clone(), app.clock.now());
    let asked = app
        .db
        .write(move |tx| async move {
            if anew {
                renditions::forget(&tx, &m.id, &need.kind()).await?;
            }
            ask_for(&tx, &m, need, now).await
        })
        .await;
    app.ring();
    asked.map_or_else(|e| away(&e), |()| Unfit::NotYet)
}

fn away(e: &dyn std::fmt::Display) -> Unfit {
    tracing::warn!(error = %e, "a rendition cannot be had");
    Unfit::Away("The media store is not available at the moment.".to_owned())
}

/// Makes the rendition that a job is for, unless nobody needs it any more. `Err` is trouble that
/// passes.
pub async fn make(app: &App, claim: &Claim) -> anyhow::Result<()> {
    let Some(work) = Work::begin(app, &claim.subject).await? else { return Ok(()) };
    match Box::pin(work.run(app)).await {
        Ok(End::Made(made)) => work.finish(app, made).await,
        Ok(End::Unwanted) => work.forget(app).await,
        Ok(End::Never(problem)) => work.fail(app, problem).await,
        Ok(End::Full(problem)) => {
            let says = problem.sentence.clone();
            work.waits(app, problem).await?;
            Err(anyhow::anyhow!(says))
        }
        Err(e) => Err(e),
    }
}

/// A rendition that could not be made however often it was tried.
pub async fn gave_up(app: &App, claim: &Claim, error: &str) -> anyhow::Result<()> {
    match Work::begin(app, &claim.subject).await? {
        // It is tried again with the next sweep.
        Some(work) if work.waits => Ok(()),
        Some(work) => {
            tracing::error!(error, subject = claim.subject, "a video was not converted");
            let why = "it could not be converted, however often it was tried";
            work.fail(app, broken(why)).await
        }
        None => Ok(()),
    }
}

/// A rendition that is to be made.
struct Work {
    medium: Media,
    kind: String,
    need: Need,
    /// For something that whoever runs the installation has to do.
    waits: bool,
}

enum End {
    Made(Made),
    /// No post needs it any more.
    Unwanted,
    Never(Problem),
    /// There is no room for it now.
    Full(Problem),
}

impl Work {
    async fn begin(app: &App, subject: &str) -> Result<Option<Self>, Error> {
        let Some((id, kind)) = subject.split_once('/') else { return Ok(None) };
        let Some(need) = Need::named(kind) else { return Ok(None) };
        let (id, kind) = (id.to_owned(), kind.to_owned());
        app.db
            .read(move |tx| async move {
                let Some(medium) = media::load(&tx, &id).await? else { return Ok(None) };
                let row = renditions::find(&tx, &id, &kind).await?;
                let row = row.filter(|r| !r.is_ready() && r.state != MediaState::Failed);
                Ok(row.map(|row| Self { medium, kind, need, waits: row.problem.is_some() }))
            })
            .await
    }

    async fn run(&self, app: &App) -> anyhow::Result<End> {
        let medium = &self.medium;
        if !self.note(app, 0).await? {
            return Ok(End::Unwanted);
        }
        let Some(facts) = &medium.facts else { return Ok(End::Unwanted) };
        let (_, length) = medium.cut.span(facts);
        let bytes = self.need.most_bytes(length, medium.bytes);
        if let Err(full) = scratch::room(app, bytes.unsigned_abs())? {
            return Ok(End::Full(no_room(full)));
        }
        let scratch = Scratch::new(app).await?;
        let from = match app.blobs.lend(&blob(medium, &medium.original()), scratch.dir()).await {
            Ok(file) => file,
            Err(BlobError::Missing) => {
                return Ok(End::Never(never("The video's file is no longer in the store.")));
            }
            Err(e) => return Err(e.into()),
        };
        let kind = Kind::of(&medium.content_type).unwrap_or(Kind::Mp4);
        // As the file is now, whatever is written about it.
        let video = match inspect::inspect(app, kind, &from, &scratch).await {
            Ok(video) => video,
            Err(Unread::Bad(why)) => return Ok(End::Never(broken(&why))),
            Err(Unread::Failed(e)) => return Ok(End::Never(problem(e)?)),
        };
        let hdr = video.facts.hdr && self.need != Need::Plain;
        let tone_map = match hdr {
            true => match tone_maps(app, &scratch).await {
                Ok(can) => can,
                Err(e) => return Ok(End::Never(problem(e)?)),
            },
            false => false,
        };
        let to = scratch.file("rendition.mp4");
        let arguments =
            encode::rendition(self.need, &video, medium.cut, tone_map, (kind, &from), &to);
        let (_, length) = medium.cut.span(&video.facts);
        let limits = Limits {
            memory: MEMORY,
            time: Duration::from_secs(300) + 20 * Duration::from_millis(length.unsigned_abs()),
            file: self.need.most_bytes(length, medium.bytes).unsigned_abs(),
        };
        match self.encode(app, &arguments, limits, length, &scratch).await {
            Ok(true) => {}
            Ok(false) => return Ok(End::Unwanted),
            Err(e) => return Ok(End::Never(problem(e)?)),
        }
        let made = match inspect::inspect(app, Kind::Mp4, &to, &scratch).await {
            Ok(Video { width, height, .. }) => {
                let bytes = tokio::fs::metadata(&to).await?.len();
                let pale = hdr && !tone_map;
                let problem = pale.then(pale_colours);
                Made { problem, ..Made::ready(&self.kind, width, height, bytes as i64) }
            }
            Err(Unread::Bad(why)) => return Ok(End::Never(broken(&why))),
            Err(Unread::Failed(e)) => return Ok(End::Never(problem(e)?)),
        };
        app.blobs.put_file(&blob(medium, &self.kind), &to).await?;
        Ok(End::Made(made))
    }

    /// Runs ffmpeg and writes how far it is; `false` when nobody needs it any more.
    async fn encode(
        &self,
        app: &App,
        arguments: &[String],
        limits: Limits,
        length: i64,
        scratch: &Scratch,
    ) -> Result<bool, Failed> {
        let (tell, mut told) = watch::channel(0);
        let run = program::run(&app.config.media.ffmpeg, arguments, limits, scratch, |line| {
            if let Some(at) = inspect::at(line) {
                // The last percent is what comes after.
                tell.send_replace((at * 100 / length.max(1)).clamp(0, 99));
            }
        });
        tokio::pin!(run);
        loop {
            tokio::select! {
                ended = &mut run => return ended.map(|_| true),
                // Its other end lives as long as the run.
                _ = told.changed() => {}
            }
            let percent = *told.borrow_and_update();
            match self.note(app, percent).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(e) => tracing::warn!(error = %e, "how far a video is was not written"),
            }
        }
    }

    /// Writes how far it is, in percent; `false` when nobody needs it any more.
    async fn note(&self, app: &App, percent: i64) -> Result<bool, Error> {
        let (medium, kind, need) = (self.medium.clone(), self.kind.clone(), self.need);
        let (networks, now) = (app.networks, app.clock.now());
        let goes_on = app
            .db
            .write(move |tx| async move {
                if !stands(&tx, networks, &medium, need).await? {
                    return Ok(false);
                }
                let before = renditions::find(&tx, &medium.id, &kind).await?;
                let goes_on = renditions::progress(&tx, &medium.id, &kind, percent, now).await?;
                let moved = before
                    .is_some_and(|b| b.progress != percent || b.state != MediaState::Processing);
                if goes_on && moved {
                    library::tell(&tx, "media.progress", &medium, now).await?;
                }
                Ok(goes_on)
            })
            .await?;
        app.news.notify_waiters();
        Ok(goes_on)
    }

    async fn finish(self, app: &App, made: Made) -> anyhow::Result<()> {
        let (medium, now) = (self.medium.clone(), app.clock.now());
        let stands = app
            .db
            .write(move |tx| async move {
                let row = renditions::progress(&tx, &medium.id, &made.kind, 99, now).await?;
                if !row || !same(&tx, &medium).await? {
                    return Ok(false);
                }
                media::made(&tx, &medium.id, &made, now).await?;
                if media::derivatives(&tx, &medium.id)
                    .await?
                    .iter()
                    .all(|d| d.state != MediaState::Failed)
                {
                    alerts::clear(&tx, AlertKind::MediaFailed, &medium.id, now).await?;
                }
                library::tell(&tx, "media.updated", &medium, now).await?;
                Ok::<_, Error>(true)
            })
            .await?;
        app.ring();
        if !stands {
            app.blobs.delete(&blob(&self.medium, &self.kind)).await?;
        }
        Ok(())
    }

    async fn forget(self, app: &App) -> anyhow::Result<()> {
        let (networks, now) = (app.networks, app.clock.now());
        app.db
            .write(move |tx| async move {
                // Of a video that was cut anew it is asked for again: another job makes that.
                if wanted(&tx, networks, &self.medium).await?.contains(&self.need) {
                    return Ok(());
                }
                renditions::forget(&tx, &self.medium.id, &self.kind).await?;
                library::tell(&tx, "media.updated", &self.medium, now).await
            })
            .await?;
        app.ring();
        Ok(())
    }

    async fn fail(self, app: &App, problem: Problem) -> anyhow::Result<()> {
        let now = app.clock.now();
        app.db
            .write(move |tx| async move {
                if renditions::fail(&tx, &self.medium.id, &self.kind, &problem, now).await? {
                    library::warn(&tx, &self.medium, &problem, now).await?;
                    library::tell(&tx, "media.failed", &self.medium, now).await?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        app.ring();
        Ok(())
    }

    async fn waits(self, app: &App, problem: Problem) -> anyhow::Result<()> {
        let now = app.clock.now();
        app.db
            .write(move |tx| async move {
                renditions::waits(&tx, &self.medium.id, &self.kind, &problem, now).await?;
                library::tell(&tx, "media.updated", &self.medium, now).await
            })
            .await?;
        app.ring();
        Ok(())
    }
}

/// Is what is made of a video still what is needed of it?
async fn stands(tx: &Tx, networks: Networks, medium: &Media, need: Need) -> Result<bool, Error> {
    Ok(same(tx, medium).await? && wanted(tx, networks, medium).await?.contains(&need))
}

/// Is it still there, the same file, and cut as it was?
async fn same(tx: &Tx, medium: &Media) -> Result<bool, Error> {
    Ok(media::load(tx, &medium.id)
        .await?
        .is_some_and(|m| (m.cut, m.version) == (medium.cut, medium.version)))
}

fn blob(medium: &Media, kind: &str) -> String {
    blobs::key(&medium.workspace_id, &medium.id, kind)
}

fn no_room(full: scratch::Full) -> Problem {
    let mb = |bytes: u64| bytes / 1_000_000;
    let says = format!(
        "There is no room on the server's disk to convert the video: {} MB are free, {} MB would \
         have to be.",
        mb(full.free),
        mb(full.needed)
    );
    let next = "Ask whoever runs this installation to make room, then process the video again.";
    Problem::new("media", says, "ask_operator", next)
}

fn pale_colours() -> Problem {
    let says = "It was made for HDR screens, and this installation's ffmpeg cannot bring its colours \
                to others: they are pale.";
    let next =
        "Ask whoever runs this installation for an ffmpeg with zscale, then process it again.";
    Problem::new("media", says, "ask_operator", next)
}

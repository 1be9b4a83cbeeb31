//! What a person needs to post a delivery by hand, as one zip: its texts, its media as the network takes
//! them, descriptions, and a README with where and when. It is written as it is read; nothing of it is
//! held or put down. Whoever has posted it says so with the address (`desk::answer`).

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use carillon_networks::Source;
use carillon_networks::spec::Placement;
use futures_util::{Stream, StreamExt, stream};
use jiff::tz::TimeZone;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use zip::CompressionMethod::Stored;
use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};

use super::{segments, view};
use crate::App;
use crate::domain::delivery::DeliveryState as State;
use crate::domain::refusal::{Kind, Refusal};
use crate::domain::when;
use crate::ids;
use crate::media::{Unfit, blobs, derive};
use crate::store::connections::{self, Connection};
use crate::store::deliveries::{self, Delivery};
use crate::store::media::{self, Media};
use crate::store::posts::{self, Post};

/// Most bytes of its media.
const MOST: i64 = 3 << 30;
/// How much of a large file is read at once.
const PIECE: usize = 1 << 20;
/// Most characters of a file's name, without its ending.
const NAME: usize = 60;

/// A pack that can be written.
pub struct Pack {
    /// `mastodon-2026-11-23-doors-at-seven.zip`
    pub name: String,
    delivery: Delivery,
    /// What follows it and is not out.
    following: Vec<Delivery>,
    post: Post,
    connection: Connection,
    media: Vec<Media>,
    placement: &'static Placement,
    network: &'static str,
}

type Piece = io::Result<Bytes>;

/// Looks whether there is one.
pub async fn of(app: &App, workspace: &str, id: &str) -> Result<Pack, Refusal> {
    let (ws, id, networks) = (workspace.to_owned(), view::known_id(id, "delivery")?, app.networks);
    app.db
        .read(move |tx| async move {
            let no = || Refusal::not_found("delivery");
            let delivery = deliveries::find(&tx, &ws, &id).await?.ok_or_else(no)?;
            let post = posts::find(&tx, &ws, &delivery.post_id).await?.ok_or_else(no)?;
            let connection =
                connections::load(&tx, &delivery.connection_id).await?.ok_or_else(no)?;
            let spec = crate::app::find(networks, &delivery.network).ok_or_else(no)?.spec();
            let placement = spec.placement(&delivery.placement).ok_or_else(no)?;
            let mut media = Vec::new();
            if delivery.parent_id.is_none() {
                media = media::of_post(&tx, &post.id).await?;
                for answer in delivery.options.values().filter(|answer| ids::valid(answer)) {
                    media.extend(media::find(&tx, &ws, answer).await?);
                }
            }
            media.retain(|m| m.deleted_at.is_none());
            if media.iter().map(|m| m.bytes).sum::<i64>() > MOST {
                let sentence =
                    "Its media have more than 3 GB, which is more than goes into a pack.";
                let fix = "Download them from the library one by one.";
                return Err(Refusal::new(Kind::TooLarge, "pack_too_large", sentence, fix));
            }
            let all = deliveries::of_post(&tx, &post.id).await?;
            let over = |d: &Delivery| matches!(d.state, State::Published | State::Removed);
            let mut following = segments::following(&delivery.id, &all);
            following.retain(|d| !over(d));
            let at = delivery.scheduled_at.or(post.scheduled_at).unwrap_or(post.updated_at);
            let day = when::local(at, &post.timezone);
            let says = crate::approval::says(&post);
            let says = plain(&says).to_lowercase().replace(' ', "-");
            let name = format!("{}-{}-{says}", delivery.network, day.get(..10).unwrap_or_default());
            let name = format!("{}.zip", name.trim_end_matches('-'));
            let network = spec.name;
            Ok(Pack { name, delivery, following, post, connection, media, placement, network })
        })
        .await
}

impl Pack {
    /// The bytes of the zip, as they are asked for.
    pub fn write(self, app: App) -> impl Stream<Item = Piece> + use<> {
        let (out, pieces) = channel(2);
        // Ends by itself when nobody reads any more.
        tokio::spawn(async move {
            let mut sink = Sink::new(out.clone(), app.clock.now());
            let written = match self.write_to(&app, &mut sink).await {
                Ok(()) => sink.close().await,
                Err(e) => Err(e),
            };
            if let Err(Stopped::Failed(why)) = written {
                tracing::warn!(why, delivery = self.delivery.id, "a pack was not written whole");
                drop(out.send(Err(io::Error::other(why))).await);
            }
        });
        // A layer around an answer may ask again after its end.
        stream::unfold(pieces, |mut pieces: Receiver<Piece>| async move {
            Some((pieces.recv().await?, pieces))
        })
        .fuse()
    }

    async fn write_to(&self, app: &App, sink: &mut Sink) -> Result<(), Stopped> {
        let alone = self.delivery.parent_id.is_none();
        let title = self.delivery.title.as_ref().or(self.post.title.as_ref()).filter(|_| alone);
        if let Some(title) = title {
            sink.text("title.txt", title).await?;
        }
        let text = self.delivery.text.as_ref().unwrap_or(&self.post.text);
        sink.text("text.txt", text).await?;
        for d in &self.following {
            let name = match d.placement.as_str() {
                "comment" => "first-comment.txt".to_owned(),
                _ => format!("part-{}.txt", d.position + 1),
            };
            sink.text(&name, d.text.as_deref().unwrap_or_default()).await?;
        }
        let (mut alts, mut notes) = (String::new(), Vec::new());
        for (n, medium) in self.media.iter().enumerate() {
            let (name, note) = self.medium(app, sink, n + 1, medium).await?;
            if !medium.alt.is_empty() {
                alts.push_str(&format!("{name}\n{}\n\n", medium.alt));
            }
            notes.extend(note.map(|note| format!("{name}: {note}")));
        }
        if !alts.is_empty() {
            sink.text("descriptions.txt", alts.trim_end()).await?;
        }
        sink.text("README.txt", &self.readme(&notes)).await
    }

    /// One medium as the network takes it, or, where it cannot be made so, as it was uploaded; its name
    /// in the pack and what is to be known of it.
    async fn medium(
        &self,
        app: &App,
        sink: &mut Sink,
        n: usize,
        medium: &Media,
    ) -> Result<(String, Option<String>), Stopped> {
        match derive::rendition(app, medium, self.placement).await {
            Ok(fit) => {
                let name = file_name(n, &fit.file_name);
                match fit.source {
                    Some(source) => sink.source(&name, &source).await?,
                    None => sink.bytes(&name, &fit.data).await?,
                }
                Ok((name, None))
            }
            Err(unfit) => {
                let why = match unfit {
                    Unfit::NotYet => {
                        format!("{} is still being prepared for {}.", medium.name, self.network)
                    }
                    Unfit::Away(why) => return Err(Stopped::Failed(why)),
                    Unfit::Never(problem) => problem.sentence,
                };
                let name = file_name(n, &medium.name);
                let key = blobs::key(&medium.workspace_id, &medium.id, &medium.original());
                let source =
                    app.blobs.source(key).await.map_err(|e| Stopped::Failed(e.to_string()))?;
                let source: Arc<dyn Source> = Arc::new(source);
                sink.source(&name, &source).await?;
                Ok((name, Some(format!("as it was uploaded. {why}"))))
            }
        }
    }

    fn readme(&self, notes: &[String]) -> String {
        let d = &self.delivery;
        let mut text =
            format!("{}, {} ({})\n", self.connection.name, self.network, self.placement.name);
        let zone = &self.post.timezone;
        let at = d.scheduled_at.or(self.post.scheduled_at);
        text.push_str(&match at {
            Some(at) => format!("{} ({zone})\n", when::long(at, zone)),
            None => "No time was chosen.\n".to_owned(),
        });
        if d.in_doubt() || matches!(d.state, State::Sending | State::Waiting | State::Unknown) {
            text.push_str("\nLook at the account first: this may be live already.\n");
        }
        if let Some(problem) = &d.problem {
            text.push_str(&format!("\n{}\n", problem.sentence));
        }
        text.push_str("\ntext.txt is what it says, the numbered files are its pictures and videos in their order.\n");
        let parts = self.following.iter().filter(|d| d.placement != "comment").count();
        if parts > 0 {
            text.push_str("part-2.txt and so on follow it, each as an answer to the one before.\n");
        }
        if self.following.len() > parts {
            text.push_str("first-comment.txt is its first comment, from the same account.\n");
        }
        let asked = self.placement.options.iter();
        for option in asked {
            if let Some(answer) =
                d.options.get(option.key).filter(|a| !a.is_empty() && !ids::valid(a))
            {
                text.push_str(&format!("\n{}: {answer}\n", option.label));
            }
        }
        for note in notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text.push_str("\nOnce it is live, say so in Carillon with its address.\n");
        text
    }
}

/// Why a pack ended before its end.
enum Stopped {
    /// Nobody reads it any more.
    Unread,
    Failed(String),
}

impl From<io::Error> for Stopped {
    fn from(e: io::Error) -> Self {
        Self::Failed(e.to_string())
    }
}

impl From<ZipError> for Stopped {
    fn from(e: ZipError) -> Self {
        Self::Failed(e.to_string())
    }
}

/// What the zip has written and nobody has taken yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<BytesMut>>);

impl Written {
    fn take(&self) -> Bytes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).split().freeze()
    }
}

impl io::Write for Written {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The zip on its way out: each file as it is, its checksum and length behind it, so that nothing has
/// to be known before it is read.
struct Sink {
    zip: ZipWriter<StreamWriter<Written>>,
    options: SimpleFileOptions,
    written: Written,
    out: Sender<Piece>,
}

impl Sink {
    fn new(out: Sender<Piece>, now: i64) -> Self {
        let written = Written::default();
        let options = SimpleFileOptions::default().compression_method(Stored);
        let time = when::wall(now, &TimeZone::UTC).try_into().unwrap_or_default();
        let options = options.last_modified_time(time).unix_permissions(0o644);
        Self { zip: ZipWriter::new_stream(written.clone()), options, written, out }
    }

    async fn text(&mut self, name: &str, text: &str) -> Result<(), Stopped> {
        self.bytes(name, format!("{}\n", text.trim_end()).as_bytes()).await
    }

    async fn bytes(&mut self, name: &str, data: &[u8]) -> Result<(), Stopped> {
        self.zip.start_file(name, self.options)?;
        io::Write::write_all(&mut self.zip, data)?;
        self.send().await
    }

    async fn source(&mut self, name: &str, source: &Arc<dyn Source>) -> Result<(), Stopped> {
        self.zip.start_file(name, self.options)?;
        let mut at = 0;
        while at < source.len() {
            let data = source.read(at, PIECE).await;
            let data = data.map_err(|e| Stopped::Failed(e.to_string()))?;
            if data.is_empty() {
                return Err(Stopped::Failed(format!("{name} ended too early")));
            }
            at += data.len() as u64;
            io::Write::write_all(&mut self.zip, &data)?;
            self.send().await?;
        }
        Ok(())
    }

    async fn close(self) -> Result<(), Stopped> {
        let Self { zip, written, out, .. } = self;
        zip.finish()?;
        out.send(Ok(written.take())).await.map_err(|_| Stopped::Unread)
    }

    async fn send(&self) -> Result<(), Stopped> {
        self.out.send(Ok(self.written.take())).await.map_err(|_| Stopped::Unread)
    }
}

/// `2-harbour.jpg`: its number keeps it apart from others and from names that Windows keeps to itself.
fn file_name(n: usize, name: &str) -> String {
    let ending = |end: &str| end.len() <= 8 && end.chars().all(|c| c.is_ascii_alphanumeric());
    let parts = name.rsplit_once('.').filter(|(_, end)| ending(end));
    let (stem, end) = parts.unwrap_or((name, ""));
    let stem = plain(stem);
    match (stem.is_empty(), end.is_empty()) {
        (true, true) => n.to_string(),
        (true, false) => format!("{n}.{end}"),
        (false, true) => format!("{n}-{stem}"),
        (false, false) => format!("{n}-{stem}.{end}"),
    }
}

/// Letters, digits and what stands between them, as every system takes them in names.
fn plain(name: &str) -> String {
    let fine = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let kept: String = name.chars().map(|c| if fine(c) { c } else { ' ' }).collect();
    let words: Vec<&str> = kept.split_whitespace().collect();
    words.join(" ").chars().take(NAME).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_everywhere() {
        for (name, expected) in [
            ("harbour.jpg", "1-harbour.jpg"),
            ("../../etc/passwd", "1-etc passwd"),
            ("CON.jpg", "1-CON.jpg"),
            ("a<b>:\"c|d?*.JPG", "1-a b c d.JPG"),
            ("Gäste 🎉 im Café.webp", "1-Gäste im Café.webp"),
            ("...", "1"),
            ("x. ", "1-x"),
        ] {
            assert_eq!(file_name(1, name), expected, "{name}");
        }
        assert!(file_name(12, &"ä".repeat(300)).chars().count() <= NAME + 3);
    }
}

//! The library: found by words and tags, used by posts, put away and taken back, cleaned up, counted,
//! and replaced.

use std::time::Duration;

use bytes::Bytes;
use carillon::db::Error;
use carillon::domain::alert::AlertKind;
use carillon::domain::refusal::{Kind, Refusal};
use carillon::media::finding::{self, Asked, Sort, Tagging};
use carillon::media::library::{self, Description, MediaView};
use carillon::media::{blobs, cleaning, intake, trash, usage, versions};
use carillon::publishing::schedule;
use carillon::store::audit::OPERATOR;
use carillon::store::media::{Media, MediaState};
use carillon::store::{alerts, audit, deliveries, media, uploads};
use carillon::{App, ids};
use futures_util::stream;

use crate::both;
use crate::cli::{fails, said, told, told_with};
use crate::support::{On, START, TestApp, picture};

const DAY: Duration = Duration::from_secs(86_400);

fn bytes_of(
    data: Vec<u8>,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Unpin {
    stream::iter([Ok(Bytes::from(data))])
}

async fn add(t: &TestApp, name: &str, alt: &str) -> String {
    let data = picture(64, 48);
    intake::upload(&t.app, &t.workspace, name, alt, bytes_of(data)).await.expect("taken").id
}

/// The same with what is made of it.
async fn ready(t: &TestApp, name: &str) -> String {
    let id = add(t, name, "").await;
    t.worker.tick().await.expect("a tick");
    id
}

async fn find(t: &TestApp, asked: Asked) -> Vec<String> {
    let (found, _) = finding::list(&t.app, &t.workspace, &asked, None, 200).await.expect("a list");
    found.into_iter().map(|m| m.name).collect()
}

async fn search(t: &TestApp, words: &str) -> Vec<String> {
    find(t, Asked { search: words.into(), ..Asked::default() }).await
}

async fn tag(t: &TestApp, ids: &[&str], add: &[&str], remove: &[&str]) -> Result<usize, Refusal> {
    let all = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
    let tagging = Tagging { ids: all(ids), add: all(add), remove: all(remove) };
    finding::tag(&t.app, &t.workspace, &tagging, OPERATOR).await
}

async fn show(t: &TestApp, id: &str) -> MediaView {
    library::find(&t.app, &t.workspace, id).await.expect("there")
}

async fn put_away(t: &TestApp, id: &str, force: bool) -> Result<(), Refusal> {
    trash::delete(&t.app, &t.workspace, id, force, OPERATOR).await
}

async fn clean(t: &TestApp, unused_for: Duration, dry_run: bool) -> cleaning::Cleaned {
    let cleaned = cleaning::clean(&t.app, &t.workspace, unused_for, dry_run, OPERATOR).await;
    cleaned.expect("cleaned up")
}

async fn has_blob(t: &TestApp, id: &str, kind: &str) -> bool {
    t.app.blobs.get(&blobs::key(&t.workspace, id, kind)).await.is_ok()
}

/// Deeds of this name, by what they were done to.
async fn deeds(t: &TestApp, action: &'static str) -> Vec<String> {
    let ws = t.workspace.clone();
    let all: Result<_, Error> =
        t.app
            .db
            .read(move |tx| async move {
                audit::before(&tx, &ws, Some(action), (i64::MAX, "g"), 50).await
            })
            .await;
    all.expect("the trail").into_iter().map(|e| e.subject).collect()
}

async fn draft(t: &TestApp, media: &[&String], scheduled: bool) -> String {
    let connection = t.connect("mastodon").await;
    let draft = t.draft("Doors open at seven.", &[&connection]);
    let media = media.iter().map(|id| (*id).clone()).collect();
    let post = schedule::Draft { media, draft: !scheduled, ..draft };
    t.schedule(post).await.id
}

both! {
    async fn the_library_is_kept_from_a_terminal(t: TestApp) {
        let (quay, menu) = (ready(&t, "quay.jpg").await, ready(&t, "menu.jpg").await);
        assert!(said(&t, &["media", "list", "--search", "QUA"]).contains("quay.jpg"));
        assert!(said(&t, &["media", "list", "--search", "gull"]).contains("No medium is like that."));
        assert!(said(&t, &["media", "tags"]).contains("No medium has a tag yet."));
        assert_eq!(told(&t, &["media", "tag", &quay, &menu, "--add", "Autumn"])["changed"], 2);
        assert_eq!(told(&t, &["media", "tags"])["items"], serde_json::json!([{ "tag": "autumn", "media": 2 }]));
        let listed = told(&t, &["media", "list", "--tag", "autumn", "--missing-alt", "--kind", "picture", "--limit", "1"]);
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
        assert_eq!(listed["items"][0]["name"], "menu.jpg", "the newest first");
        fails(&t, &["media", "tag", &quay, "--add", "!"], 1, "tag");

        let c = t.connect("mastodon").await;
        let mut draft = t.draft("Come and eat", &[&c]);
        draft.media = vec![menu.clone()];
        t.schedule(draft).await;
        assert!(said(&t, &["media", "uses", &menu]).contains("Come and eat"));
        assert!(said(&t, &["media", "uses", &quay]).contains("No post has it."));
        assert!(said(&t, &["media", "usage"]).contains("quota"));
        let done = told_with(&t, &["media", "delete", &quay, &menu], 1);
        assert_eq!((&done["deleted"][0], &done["kept"][0]["id"]), (&quay.as_str().into(), &menu.as_str().into()));
        assert_eq!(told(&t, &["media", "list", "--trash"])["items"][0]["id"], quay.as_str());
        assert_eq!(told(&t, &["media", "restore", &quay])["changed"], 1);
        assert!(said(&t, &["media", "list", "--unused"]).contains("quay.jpg"));
        assert!(said(&t, &["media", "clean", "--dry-run", "--unused-for", "0d"]).contains("1 media that no post has"));
        assert!(said(&t, &["media", "replace", &quay]).contains("image/jpeg"));
        said(&t, &["media", "delete", &quay]);
        assert_eq!(told(&t, &["media", "purge", &quay])["changed"], 1);
        fails(&t, &["media", "restore", &quay], 3, "in the trash");
        for command in ["list", "tag", "clean", "replace", "purge"] {
            assert!(said(&t, &["media", command, "--help"]).contains("Usage:"), "{command}");
        }
    }

    async fn words_are_found_by_their_beginnings_whatever_their_case_and_accents(t: TestApp) {
        add(&t, "Quay at dawn.jpg", "Crème brûlée on the counter").await;
        add(&t, "quay at dusk.jpg", "").await;
        add(&t, "100%_Ünder'--.jpg", "").await;
        assert_eq!(search(&t, "").await.len(), 3);
        assert_eq!(search(&t, "QUAY").await, ["quay at dusk.jpg", "Quay at dawn.jpg"], "newest first");
        assert_eq!(search(&t, "da qu").await, ["Quay at dawn.jpg"], "all words, in any order");
        assert_eq!(search(&t, "creme BRUL").await, ["Quay at dawn.jpg"]);
        assert_eq!(search(&t, "under").await, ["100%_Ünder'--.jpg"]);
        for nothing in ["rule", "quay tide", "awn", "picture", "!alt", "%", "_", "' OR 1=1"] {
            let found = search(&t, nothing).await;
            // Signs are no words: what has none asks for everything.
            let all = !nothing.chars().any(char::is_alphanumeric);
            assert_eq!(found.len(), if all || nothing == "!alt" { search(&t, nothing.trim_start_matches('!')).await.len() } else { 0 }, "{nothing}: {found:?}");
        }
        let refusal = finding::list(&t.app, &t.workspace, &Asked { search: "a b c d e f g h i".into(), ..Asked::default() }, None, 50).await;
        assert_eq!(refusal.expect_err("too many").code, "too_many_words");
    }

    async fn what_is_described_anew_is_found_by_its_new_words_only(t: TestApp) {
        let id = add(&t, "a.jpg", "The harbour").await;
        let change = Description { name: Some("Lock gates".into()), alt: Some("Low tide".into()), ..Description::default() };
        library::describe(&t.app, &t.workspace, &id, change).await.expect("described");
        assert_eq!(search(&t, "lock tide").await, ["Lock gates.jpg"]);
        assert!(search(&t, "harbour").await.is_empty());
        // Words that are in no index any more cost no place in it.
        let change = Description { alt: Some(String::new()), ..Description::default() };
        library::describe(&t.app, &t.workspace, &id, change).await.expect("described");
        assert!(search(&t, "tide").await.is_empty());
        assert_eq!(find(&t, Asked { missing_alt: true, ..Asked::default() }).await, ["Lock gates.jpg"]);
    }

    async fn tags_are_given_and_taken_from_many_at_once(t: TestApp) {
        let (a, b, c) = (add(&t, "a.jpg", "").await, add(&t, "b.jpg", "").await, add(&t, "c.jpg", "").await);
        assert_eq!(tag(&t, &[&a, &b], &["Summer Sale", "quay"], &[]).await, Ok(2));
        assert_eq!(tag(&t, &[&a, &b, &c], &["quay"], &[]).await, Ok(1), "the others have it");
        assert_eq!(show(&t, &a).await.tags, ["quay", "summer-sale"]);
        let tags = finding::tags(&t.app, &t.workspace).await.expect("the tags");
        assert_eq!(tags.iter().map(|t| (t.tag.as_str(), t.media)).collect::<Vec<_>>(), [("quay", 3), ("summer-sale", 2)]);
        let tagged = |tags: &[&str]| Asked { tags: tags.iter().map(|t| (*t).into()).collect(), ..Asked::default() };
        assert_eq!(find(&t, tagged(&["summer sale", "quay"])).await, ["b.jpg", "a.jpg"]);
        assert!(find(&t, tagged(&["summer"])).await.is_empty(), "a tag is found whole");
        assert_eq!(search(&t, "sale").await, ["b.jpg", "a.jpg"], "and its words by search");
        assert_eq!(tag(&t, &[&a], &[], &["summer-sale"]).await, Ok(1));
        assert_eq!(find(&t, tagged(&["summer-sale"])).await, ["b.jpg"]);
        // All of them or none.
        let nobody = ids::new(START);
        assert_eq!(tag(&t, &[&a, &nobody], &["new"], &[]).await.expect_err("unknown").kind, Kind::NotFound);
        assert_eq!(tag(&t, &[&a], &["!"], &[]).await.expect_err("no tag").code, "invalid_tag");
        assert_eq!(show(&t, &a).await.tags, ["quay"]);
        assert_eq!(deeds(&t, "media.tagged").await.len(), 3);
        let change = Description { tags: Some(vec!["Neu".into()]), ..Description::default() };
        let view = library::describe(&t.app, &t.workspace, &a, change).await.expect("described");
        assert_eq!(view.tags, ["neu"]);
    }

    async fn filters_go_together_with_words(t: TestApp) {
        let (used, described) = (add(&t, "used.jpg", "").await, add(&t, "said.jpg", "The quay").await);
        let broken = {
            let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40\x08\x02\0\0\0".to_vec();
            let data = [png, vec![1, 2, 3, 4]].concat();
            intake::upload(&t.app, &t.workspace, "broken.png", "", bytes_of(data)).await.expect("a header").id
        };
        t.worker.tick().await.expect("a tick");
        draft(&t, &[&used], true).await;
        assert_eq!(find(&t, Asked { unused: true, ..Asked::default() }).await, ["broken.png", "said.jpg"]);
        assert_eq!(find(&t, Asked { failed: true, ..Asked::default() }).await, ["broken.png"]);
        assert_eq!(find(&t, Asked { missing_alt: true, ..Asked::default() }).await, ["broken.png", "used.jpg"]);
        assert_eq!(find(&t, Asked { missing_alt: true, unused: true, ..Asked::default() }).await, ["broken.png"]);
        assert_eq!(find(&t, Asked { kind: Some(Sort::Picture), search: "quay".into(), ..Asked::default() }).await, ["said.jpg"]);
        assert!(find(&t, Asked { kind: Some(Sort::Video), ..Asked::default() }).await.is_empty());
        assert!(find(&t, Asked { unused: true, search: "used".into(), ..Asked::default() }).await.is_empty());
        assert!(ids::valid(&broken) && ids::valid(&described));
    }

    async fn two_thousand_are_searched_page_by_page(t: TestApp) {
        let (ws, now) = (t.workspace.clone(), t.clock.now());
        let made: Result<_, Error> = t.app.db.write(move |tx| async move {
            for n in 0..2_000 {
                media::add(&tx, &row(&ws, n, now)).await?;
            }
            Ok(())
        }).await;
        made.expect("written");
        assert!(search(&t, "quay").await.is_empty(), "they came before the index");
        assert_eq!(finding::index_all(&t.app).await.expect("indexed"), 2_000);
        assert_eq!(finding::index_all(&t.app).await.expect("indexed"), 0);
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        let asked = Asked { search: "quay 7".into(), ..Asked::default() };
        loop {
            let page = finding::list(&t.app, &t.workspace, &asked, cursor.as_deref(), 50).await.expect("a page");
            assert!(page.0.len() == 50 || page.1.is_none());
            seen.extend(page.0.into_iter().map(|m| m.name));
            let Some(next) = page.1 else { break };
            cursor = Some(next);
        }
        let fits = |n: &i64| n % 2 == 0 && n.to_string().starts_with('7');
        let mut expected: Vec<String> = (0..2_000).filter(fits).map(|n| format!("quay {n}.jpg")).collect();
        expected.reverse();
        assert_eq!(seen, expected);
    }

    async fn the_index_is_asked_and_not_the_table(t: TestApp) {
        if t.app.db.is_postgres() {
            return;
        }
        let plan: Result<_, Error> = t.app.db.read(|tx| async move {
            let rows = tx.rows("EXPLAIN QUERY PLAN SELECT * FROM media WHERE workspace_id = 'a' AND id < 'g' AND deleted_at IS NULL \
                AND id IN (SELECT media_id FROM media_word WHERE workspace_id = 'a' AND word >= 'b' AND word < 'c') \
                AND words LIKE '% b%' AND (0 = 0 OR NOT EXISTS (SELECT 1 FROM media_use WHERE media_use.media_id = media.id)) \
                ORDER BY id DESC LIMIT 50", &[]).await?;
            rows.iter().map(|r| r.text("detail")).collect::<Result<Vec<_>, _>>()
        }).await;
        let plan = plan.expect("a plan").join("\n");
        assert!(plan.contains("media_word USING PRIMARY KEY (workspace_id=? AND word>? AND word<?)"), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
        assert!(plan.contains("post_media_by_media (media_id=?)"), "{plan}");
    }

    async fn who_uses_a_medium_is_told_before_it_goes(t: TestApp) {
        let (used, free) = (ready(&t, "used.jpg").await, ready(&t, "free.jpg").await);
        let post = draft(&t, &[&used], true).await;
        let uses = trash::uses(&t.app, &t.workspace, &used).await.expect("its posts");
        assert_eq!((uses[0].post_id.as_str(), uses[0].says.as_str(), uses[0].needs), (post.as_str(), "Doors open at seven.", true));
        for force in [false, true] {
            let refusal = put_away(&t, &used, force).await.expect_err("a post needs it");
            assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::Conflict, "media_in_use"));
            assert_eq!(refusal.problems[0].field, format!("posts.{post}"));
        }
        let both = [used.clone(), free.clone()];
        let done = trash::delete_many(&t.app, &t.workspace, &both, true, OPERATOR).await.expect("asked");
        assert_eq!((done.deleted, done.kept[0].id.as_str()), (vec![free], used.as_str()));

        t.pass(Duration::from_secs(1_200)).await;
        assert_eq!(t.visible("mastodon").len(), 1);
        let uses = trash::uses(&t.app, &t.workspace, &used).await.expect("its posts");
        assert!(!uses[0].needs, "{:?}", uses[0].state);
        let refusal = put_away(&t, &used, false).await.expect_err("it is told");
        assert!(refusal.fix.contains("force"), "{}", refusal.fix);
        put_away(&t, &used, true).await.expect("it is out");
        assert_eq!(t.post(&post).await.media[0].id, used, "its post shows it while it is kept");
        assert_eq!(deeds(&t, "media.deleted").await.len(), 2);
    }

    async fn the_trash_gives_back_for_seven_days(t: TestApp) {
        let (back, gone) = (ready(&t, "quay.jpg").await, ready(&t, "gone.jpg").await);
        tag(&t, &[&back], &["summer"], &[]).await.expect("tagged");
        for id in [&back, &gone] {
            put_away(&t, id, false).await.expect("put away");
        }
        assert!(search(&t, "").await.is_empty() && search(&t, "quay").await.is_empty());
        assert!(finding::tags(&t.app, &t.workspace).await.expect("the tags").is_empty());
        assert_eq!(find(&t, Asked { trash: true, search: "qu".into(), ..Asked::default() }).await, ["quay.jpg"]);
        assert!(has_blob(&t, &back, "original").await && has_blob(&t, &gone, "thumb").await);
        assert_eq!(trash::restore(&t.app, &t.workspace, std::slice::from_ref(&back), OPERATOR).await, Ok(1));
        assert_eq!(search(&t, "quay summer").await, ["quay.jpg"]);
        let again = trash::restore(&t.app, &t.workspace, std::slice::from_ref(&back), OPERATOR).await;
        assert_eq!(again.expect_err("it is back").kind, Kind::NotFound);

        t.clock.advance(7 * DAY - Duration::from_secs(1));
        assert_eq!(trash::sweep(&t.app).await.expect("a sweep"), 0);
        t.clock.advance(Duration::from_secs(2));
        assert_eq!(trash::sweep(&t.app).await.expect("a sweep"), 1);
        for kind in ["original", "thumb", "full", "square"] {
            assert!(!has_blob(&t, &gone, kind).await, "{kind}");
            assert!(has_blob(&t, &back, kind).await, "{kind}");
        }
        let late = trash::restore(&t.app, &t.workspace, std::slice::from_ref(&gone), OPERATOR).await;
        assert_eq!(late.expect_err("too late").kind, Kind::NotFound);
        assert_eq!(find(&t, Asked { trash: true, ..Asked::default() }).await.len(), 0);
    }

    async fn a_medium_put_away_while_it_is_processed_goes_on_when_it_is_back(t: TestApp) {
        let id = add(&t, "a.jpg", "").await;
        put_away(&t, &id, false).await.expect("put away");
        assert_eq!(t.worker.tick().await.expect("a tick"), 0);
        trash::restore(&t.app, &t.workspace, std::slice::from_ref(&id), OPERATOR).await.expect("back");
        t.worker.tick().await.expect("a tick");
        assert_eq!(show(&t, &id).await.state, MediaState::Ready);
    }

    async fn a_clean_up_takes_what_nobody_needs_and_nothing_else(t: TestApp) {
        let scheduled = ready(&t, "scheduled.jpg").await;
        let drafted = ready(&t, "drafted.jpg").await;
        let option = ready(&t, "cover.jpg").await;
        let published = ready(&t, "published.jpg").await;
        let unused = ready(&t, "unused.jpg").await;
        let lost = ready(&t, "lost.jpg").await;
        draft(&t, &[&published], true).await;
        t.pass(Duration::from_secs(1_200)).await;
        draft(&t, &[&drafted, &lost], false).await;
        let naming = draft(&t, &[], false).await;
        names(&t.app, &naming, &option).await;
        t.app.blobs.delete(&blobs::key(&t.workspace, &lost, "original")).await.expect("lost");
        // Of no medium; of an upload that is whole; of somebody else; on its way.
        let (orphan, upload) = (ids::new(t.clock.now()), ids::new(t.clock.now()));
        for (id, file) in [(&orphan, "original"), (&orphan, "thumb"), (&upload, "original")] {
            t.app.blobs.put(&blobs::key(&t.workspace, id, file), "bytes".into()).await.expect("put");
        }
        t.app.blobs.put(&format!("{}/readme.d/text", t.workspace), "theirs".into()).await.expect("put");
        begin(&t, &upload).await;

        t.clock.advance(91 * DAY);
        let young = ready(&t, "young.jpg").await;
        let coming = ids::new(t.clock.now());
        t.app.blobs.put(&blobs::key(&t.workspace, &coming, "original"), "bytes".into()).await.expect("put");
        let late = draft(&t, &[&scheduled], true).await;

        let before = clean(&t, cleaning::UNUSED_FOR, true).await;
        assert_eq!(before.unused.some.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), [unused.as_str()]);
        assert_eq!((before.orphans.files, before.orphans.bytes), (2, 10));
        assert_eq!(before.missing.some.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), [lost.as_str()]);
        assert_eq!(search(&t, "").await.len(), 7, "nothing has happened yet");
        assert!(has_blob(&t, &orphan, "thumb").await);

        let done = clean(&t, cleaning::UNUSED_FOR, false).await;
        assert_eq!((done.unused, done.orphans, done.missing), (before.unused, before.orphans, before.missing));
        let left = search(&t, "").await;
        for name in ["scheduled.jpg", "drafted.jpg", "cover.jpg", "published.jpg", "young.jpg", "lost.jpg"] {
            assert!(left.contains(&name.to_owned()), "{name} is gone: {left:?}");
        }
        assert_eq!(left.len(), 6);
        for id in [&scheduled, &drafted, &option, &published, &young, &unused] {
            for kind in ["original", "thumb", "full", "square", "story", "landscape"] {
                assert!(has_blob(&t, id, kind).await, "{id} {kind}: what is put away is kept for seven days");
            }
        }
        assert!(has_blob(&t, &upload, "original").await && has_blob(&t, &coming, "original").await);
        assert!(!has_blob(&t, &orphan, "original").await && !has_blob(&t, &orphan, "thumb").await);
        assert!(t.app.blobs.get(&format!("{}/readme.d/text", t.workspace)).await.is_ok(), "it is somebody else's");
        trash::restore(&t.app, &t.workspace, &[unused], OPERATOR).await.expect("back");
        assert_eq!(deeds(&t, "media.cleaned").await.len(), 1);

        // At once, too, what is used stays.
        t.clock.advance(Duration::from_millis(5));
        clean(&t, Duration::ZERO, false).await;
        let mut left = search(&t, "").await;
        left.sort();
        assert_eq!(left, ["cover.jpg", "drafted.jpg", "lost.jpg", "published.jpg", "scheduled.jpg"]);
        assert_eq!(t.post(&late).await.media.len(), 1);
    }

    async fn what_media_take_is_counted_by_what_it_is_of(t: TestApp) {
        let (a, b) = (ready(&t, "a.jpg").await, ready(&t, "b.jpg").await);
        let size = picture(64, 48).len() as i64;
        let taken = usage::usage(&t.app, &t.workspace).await.expect("usage");
        assert_eq!((taken.media, taken.pictures, taken.videos, taken.versions, taken.trash, taken.quota), (2, 2 * size, 0, 0, 0, None));
        let kinds = ["full", "thumb", "square", "story", "landscape"];
        let mut made = 0;
        for kind in kinds {
            made += t.app.blobs.size(&blobs::key(&t.workspace, &a, kind)).await.expect("a size") as i64;
        }
        assert_eq!(taken.renditions, 2 * made, "what is in the store");
        put_away(&t, &b, false).await.expect("put away");
        let now = usage::usage(&t.app, &t.workspace).await.expect("usage");
        assert_eq!((now.media, now.pictures, now.renditions, now.trash, now.total), (1, size, made, size + made, taken.total));
        trash::empty(&t.app, &t.workspace, &[b], OPERATOR).await.expect("emptied");
        let now = usage::usage(&t.app, &t.workspace).await.expect("usage");
        assert_eq!((now.trash, now.total), (0, size + made));
    }

    async fn another_file_takes_the_place_in_every_post_that_is_not_out(t: TestApp) {
        let id = ready(&t, "menu.jpg").await;
        let post = draft(&t, &[&id], true).await;
        let old = show(&t, &id).await;
        let new = picture(300, 200);
        let view = versions::replace(&t.app, &t.workspace, &id, OPERATOR, bytes_of(new.clone())).await.expect("replaced");
        assert_eq!((view.id.as_str(), view.version, view.state, view.width), (id.as_str(), 2, MediaState::Pending, 300));
        assert_eq!(view.thumb_url, None, "nothing of the old one is shown");
        t.worker.tick().await.expect("a tick");
        let view = show(&t, &id).await;
        assert_eq!(view.state, MediaState::Ready);
        assert_ne!((&view.url, &view.thumb_url), (&old.url, &old.thumb_url), "no cache shows the old one");
        let stored = t.app.blobs.get(&blobs::key(&t.workspace, &id, "original-2")).await;
        assert_eq!(stored.expect("the new file"), new);
        assert_eq!(search(&t, "menu").await, ["menu.jpg"]);
        // A video in a picture's place is refused, and leaves nothing.
        let film = versions::replace(&t.app, &t.workspace, &id, OPERATOR, bytes_of(crate::support::video::video("plain.mp4").to_vec())).await;
        assert_eq!(film.expect_err("no picture").code, "media_other_kind");
        assert!(!has_blob(&t, &id, "original-3").await);

        t.pass(Duration::from_secs(1_200)).await;
        assert_eq!(t.post(&post).await.state.to_string(), "published");
        let sent = &t.visible("mastodon")[0];
        assert_eq!(sent.media.len(), 1);
        let full = t.app.blobs.size(&blobs::key(&t.workspace, &id, "full")).await.expect("a size");
        assert_eq!(sent.media[0].bytes as u64, full, "followers see the new one");

        let all = versions::list(&t.app, &t.workspace, &id).await.expect("its files");
        assert_eq!(all.iter().map(|v| (v.version, v.current, v.width)).collect::<Vec<_>>(), [(2, true, 300), (1, false, 64)]);
        let back = versions::make_current(&t.app, &t.workspace, &id, 1, OPERATOR).await.expect("undone");
        assert_eq!((back.version, back.width, back.url), (1, 64, old.url));
        t.worker.tick().await.expect("a tick");
        assert_eq!(show(&t, &id).await.state, MediaState::Ready);
        assert_eq!(usage::usage(&t.app, &t.workspace).await.expect("usage").versions, new.len() as i64);
        // What is old enough goes with a clean-up, and the present one never.
        t.clock.advance(91 * DAY);
        let done = clean(&t, cleaning::UNUSED_FOR, false).await;
        assert_eq!((done.versions.files, done.versions.bytes), (1, new.len() as u64));
        assert!(has_blob(&t, &id, "original").await && !has_blob(&t, &id, "original-2").await);
        let refusal = versions::make_current(&t.app, &t.workspace, &id, 2, OPERATOR).await;
        assert_eq!(refusal.expect_err("it is gone").kind, Kind::NotFound);
        assert_eq!((deeds(&t, "media.replaced").await.len(), deeds(&t, "media.version_chosen").await.len()), (1, 1));
    }
}

fn row(workspace: &str, n: i64, now: i64) -> Media {
    let name = if n % 2 == 0 { format!("quay {n}.jpg") } else { format!("lock {n}.jpg") };
    Media {
        id: ids::new(now),
        workspace_id: workspace.to_owned(),
        name,
        alt: String::new(),
        content_type: "image/jpeg".into(),
        bytes: 1,
        width: 1,
        height: 1,
        sha256: String::new(),
        state: MediaState::Failed,
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

/// Has an option of a post's delivery name a medium, as a cover.
async fn names(app: &App, post: &str, medium: &str) {
    let (post, medium, now) = (post.to_owned(), medium.to_owned(), app.clock.now());
    let written: Result<_, Error> = app
        .db
        .write(move |tx| async move {
            for mut d in deliveries::of_post(&tx, &post).await? {
                d.options.insert("cover".into(), medium.clone());
                deliveries::edit(&tx, &d, d.state, now).await?;
            }
            Ok(())
        })
        .await;
    written.expect("written");
}

/// An upload that is whole and no medium yet, for as long as anybody likes.
async fn begin(t: &TestApp, id: &str) {
    let upload = uploads::Upload {
        id: id.to_owned(),
        workspace_id: t.workspace.clone(),
        name: "a.jpg".into(),
        alt: String::new(),
        metadata: String::new(),
        length: 5,
        received: 5,
        digest: String::new(),
        staging: String::new(),
        created_at: START,
        expires_at: i64::MAX,
        finished_at: None,
    };
    let added: Result<_, Error> =
        t.app.db.write(move |tx| async move { uploads::add(&tx, &upload).await }).await;
    added.expect("an upload");
}

async fn open(t: &TestApp, kind: AlertKind) -> usize {
    let found: Result<_, Error> =
        t.app.db.read(move |tx| async move { alerts::open(&tx, kind).await }).await;
    found.expect("the alerts").len()
}

async fn a_quota(on: On) {
    let size = picture(64, 48).len() as u64;
    let quota = format!("{}B", size * 3);
    let t = TestApp::with(on, &[("CARILLON_MEDIA_QUOTA", &quota)]).await;
    let first = add(&t, "a.jpg", "").await;
    assert_eq!(open(&t, AlertKind::MediaQuotaNear).await, 0);
    for _ in 0..2 {
        add(&t, "b.jpg", "").await;
    }
    assert_eq!(
        (open(&t, AlertKind::MediaQuotaNear).await, open(&t, AlertKind::MediaQuotaFull).await),
        (1, 1)
    );
    let refused =
        intake::upload(&t.app, &t.workspace, "c.jpg", "", bytes_of(picture(64, 48))).await;
    let refusal = refused.expect_err("no room");
    assert_eq!((refusal.kind, refusal.code.as_str()), (Kind::TooLarge, "media_quota"));
    assert!(refusal.fix.contains("CARILLON_MEDIA_QUOTA"), "{}", refusal.fix);
    let new = carillon::media::uploads::New { length: size, ..Default::default() };
    let refusal = carillon::media::uploads::begin(&t.app, &t.workspace, new).await;
    assert_eq!(refusal.expect_err("no room").code, "media_quota");
    let refusal =
        versions::replace(&t.app, &t.workspace, &first, OPERATOR, bytes_of(picture(64, 48))).await;
    assert_eq!(refusal.expect_err("no room").code, "media_quota");
    assert_eq!(show(&t, &first).await.version, 1);

    put_away(&t, &first, false).await.expect("put away");
    usage::watch(&t.app).await.expect("looked");
    assert_eq!(open(&t, AlertKind::MediaQuotaFull).await, 1, "the trash counts");
    trash::empty(&t.app, &t.workspace, &[first], OPERATOR).await.expect("emptied");
    assert_eq!(
        (open(&t, AlertKind::MediaQuotaNear).await, open(&t, AlertKind::MediaQuotaFull).await),
        (0, 0)
    );
    add(&t, "c.jpg", "").await;
    assert_eq!(open(&t, AlertKind::MediaQuotaFull).await, 1, "told anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_quota_nothing_comes_in_and_people_are_told_on_sqlite() {
    a_quota(On::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_quota_nothing_comes_in_and_people_are_told_on_postgres() {
    a_quota(On::Postgres).await;
}

/// Where every word is common, media are met on the way from the newest one back.
#[tokio::test(flavor = "multi_thread")]
async fn common_words_find_the_newest() {
    let t = TestApp::new(On::Sqlite).await;
    let first = add(&t, "quay-0.jpg", "Dawn").await;
    let (ws, id) = (t.workspace.clone(), first.clone());
    let found = t.app.db.read(move |tx| async move { media::find(&tx, &ws, &id).await }).await;
    let first: Media = found.expect("a read").expect("there");
    let lots: Vec<u32> = (1..5_200).collect();
    for lot in lots.chunks(1_000) {
        let lot: Vec<Media> = lot
            .iter()
            .map(|n| Media { id: ids::new(START), name: format!("quay-{n}.jpg"), ..first.clone() })
            .collect();
        let written: Result<_, Error> = t
            .app
            .db
            .write(move |tx| async move {
                for m in &lot {
                    media::add(&tx, m).await?;
                }
                Ok(())
            })
            .await;
        written.expect("written");
    }
    finding::index_all(&t.app).await.expect("an index");
    let asked = Asked { search: "dawn qua".into(), ..Asked::default() };
    let (page, next) = finding::list(&t.app, &t.workspace, &asked, None, 3).await.expect("a list");
    let names = |page: &[MediaView]| page.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&page), ["quay-5199.jpg", "quay-5198.jpg", "quay-5197.jpg"]);
    let (page, _) =
        finding::list(&t.app, &t.workspace, &asked, next.as_deref(), 1).await.expect("a list");
    assert_eq!(names(&page), ["quay-5196.jpg"]);
    assert_eq!(search(&t, "dawn quay 5000").await, ["quay-5000.jpg"]);
    assert_eq!(search(&t, "dawn quay gulls").await, [""; 0]);
}

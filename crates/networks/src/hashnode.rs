//! Hashnode through its GraphQL API (gql.hashnode.com); checked 2026-11-22 against its schema.
//!
//! Keys: Settings → Developer → Personal Access Tokens. Since 2026-05-13 the API is for
//! publications with a Pro plan only; others are refused or sent to an announcement.
//!
//! Draft first: the draft's id is the handle, and its `publishedPost` says whether it was published.
//! Our own slug, unguessable, is the second witness. Answers stand behind a cache that goes by a
//! query's words, so each look uses words of its own. Errors come with status 200.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::article::{
    address, picture, pictures_below, slug, tags, title_and_text, without_closing_tags,
};
use crate::error::quote;
use crate::http::Reply;
use crate::oauth::Life;
use crate::spec::{
    Abilities, Count, Derivative, Edit, Field, MediaRule, Metric, Placement, SendClass, Spec, Text,
};
use crate::{
    Action, Class, Context, Error, Identity, Network, Numbers, Polled, Prepared, Published, Remote,
    Rendition, numbers,
};

pub struct Hashnode;

const TITLE_MAX: usize = 250;
const TAGS_MAX: usize = 5;

pub static SPEC: Spec = Spec {
    id: "hashnode",
    name: "Hashnode",
    code: "HN",
    base_url: "https://gql.hashnode.com",
    fields: &[
        Field {
            key: "publication",
            label: "Blog address",
            help: "Where the blog is, for example alice.hashnode.dev. It needs a Pro plan.",
            secret: false,
            required: true,
        },
        Field {
            key: "accessToken",
            label: "Personal access token",
            help: "Hashnode: Settings, Developer, Personal Access Tokens.",
            secret: true,
            required: true,
        },
    ],
    placements: &[Placement {
        id: "article",
        name: "Article",
        send: SendClass::Handle,
        follows: &[],
        in_budget: true,
        edit: Edit::TitleAndText,
        measures: &[Metric::Views, Metric::Likes, Metric::Comments],
        text: Text {
            // The schema names no limit for text or title.
            max: 200_000,
            count: Count::Chars,
            max_bytes: None,
            max_with_media: None,
            question_max: None,
            max_hashtags: None,
            max_mentions: None,
            title_max: Some(TITLE_MAX),
            required: false,
        },
        media: MediaRule {
            min: 0,
            max: 20,
            types: &["image/jpeg", "image/png", "image/gif", "image/webp"],
            max_bytes: 16 << 20,
            ratio: None,
            derivative: Derivative::Original,
            pull: true,
            alt_max: 1_000,
            video: None,
        },
        options: &[],
    }],
    abilities: Abilities { delete: true, read_back: true, alt_text: true },
    oauth: None,
    life: Life::Endless,
    budgets: &[],
};

const ME: &str = "query Me { me { id username publications(first: 50) \
                  { edges { role node { id title url } } } } }";
const CREATE: &str = "mutation Create($input: CreateDraftInput!) \
                      { createDraft(input: $input) { draft { id slug } } }";
const PUBLISH: &str = "mutation Publish($input: PublishDraftInput!) \
                       { publishDraft(input: $input) { post { id url } } }";
const UPDATE: &str = "mutation Update($input: UpdatePostInput!) \
                      { updatePost(input: $input) { post { id url } } }";
const REMOVE: &str = "mutation Remove($input: RemovePostInput!) \
                      { removePost(input: $input) { post { id } } }";

#[derive(Deserialize)]
struct Me {
    me: User,
}

#[derive(Deserialize)]
struct User {
    publications: Edges<Publication>,
}

#[derive(Deserialize)]
struct Edges<T> {
    edges: Vec<Edge<T>>,
}

#[derive(Deserialize)]
struct Edge<T> {
    #[serde(default)]
    role: String,
    node: T,
}

#[derive(Deserialize)]
struct Publication {
    id: String,
    title: String,
    url: String,
}

#[derive(Deserialize)]
struct Draft {
    id: String,
    #[serde(default)]
    slug: String,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    url: Option<String>,
}

impl From<Post> for Remote {
    fn from(post: Post) -> Self {
        Self { id: post.id, url: post.url }
    }
}

/// What became of a draft.
enum State {
    Published(Remote),
    Draft,
    /// Neither the draft nor a post of its slug is there.
    Nowhere,
}

#[async_trait]
impl Network for Hashnode {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn check(&self, cx: &Context<'_>) -> Result<Identity, Error> {
        let entered = cx.account.setting("publication")?;
        let Me { me } = read(self.ask(cx, ME, json!({})).await?)?;
        let ours = |edge: &Edge<Publication>| {
            host(&edge.node.url) == host(entered) || edge.node.id == entered
        };
        let Some(Edge { role, node }) = me.publications.edges.into_iter().find(ours) else {
            let says = format!("The account writes for no Hashnode blog at `{}`.", host(entered));
            return Err(Error::new(Class::Config, says).code("no_publication"));
        };
        if role == "CONTRIBUTOR" {
            let says = "The account may only suggest articles for this Hashnode blog.";
            return Err(Error::new(Class::Auth, says).code(role).action(Action::ActAtNetwork));
        }
        let settings = BTreeMap::from([("publicationId".to_owned(), node.id.clone())]);
        Ok(Identity { remote_id: node.id, name: node.title, settings })
    }

    async fn prepare(&self, cx: &Context<'_>, out: &Rendition) -> Result<Prepared, Error> {
        if cx.saved("draft").is_some() {
            // Whoever comes here again knows that it was not published.
            match self.state(cx).await? {
                State::Nowhere => cx.checkpoint("draft", Value::Null).await?,
                State::Draft | State::Published(_) => return Ok(Prepared::Ready),
            }
        }
        let publication = match cx.account.setting("publicationId") {
            Ok(id) => id.to_owned(),
            Err(_) => self.check(cx).await?.remote_id,
        };
        let draft = self.draft(cx, out, &publication).await?;
        cx.checkpoint("publication", publication).await?;
        cx.checkpoint("draft", draft).await?;
        Ok(Prepared::Ready)
    }

    async fn publish(&self, cx: &Context<'_>, _: &Rendition) -> Result<Published, Error> {
        let draft = cx.saved_str("draft").ok_or_else(no_draft)?;
        let input = json!({ "input": { "draftId": draft } });
        let error = match self.ask(cx, PUBLISH, input).await {
            Ok(data) => {
                let post: Post = read(data["publishDraft"]["post"].clone())?;
                return Ok(Published::Accepted(post.into()));
            }
            Err(error) => error,
        };
        if error.class != Class::Content {
            return Err(error);
        }
        // An earlier try may be what it is refused for.
        match self.state(cx).await {
            Ok(State::Published(post)) => Ok(Published::Accepted(post)),
            Ok(State::Draft) => Err(error),
            Ok(State::Nowhere) | Err(_) => Err(error.maybe_applied()),
        }
    }

    async fn poll(&self, cx: &Context<'_>, _: &Rendition) -> Result<Polled, Error> {
        if cx.saved("draft").is_none() {
            return Ok(Polled::Gone(no_draft()));
        }
        match self.state(cx).await? {
            State::Published(post) => Ok(Polled::Published(post)),
            State::Draft => Ok(Polled::NotPublished),
            State::Nowhere => {
                let says = "Hashnode has neither the draft nor an article of its address.";
                Err(Error::new(Class::Transient, says).code("draft_vanished").action(Action::Look))
            }
        }
    }

    /// The pictures below the text are kept as they stand there.
    async fn edit(
        &self,
        cx: &Context<'_>,
        remote_id: &str,
        out: &Rendition,
    ) -> Result<Published, Error> {
        known(remote_id)?;
        // An alias of this moment: no cache has seen these words before.
        let alias = format!("p{}", cx.now.unsigned_abs());
        let query = format!(
            "query Read($id: ID!) {{ {alias}: post(id: $id) {{ id content {{ markdown }} }} }}"
        );
        let data = self.ask(cx, &query, json!({ "id": remote_id })).await;
        let there = data.map_err(Error::harmless)?[&alias].clone();
        if there.is_null() {
            return Err(Error::new(Class::Content, "Hashnode does not know this article."));
        }
        let markdown = there["content"]["markdown"].as_str().unwrap_or_default();
        let pictures = pictures_below(markdown, out.media.len().saturating_sub(1));
        let (title, text) = title_and_text(out, TITLE_MAX);
        let parts: Vec<&str> =
            std::iter::once(without_closing_tags(&text)).chain(pictures).collect();
        let input = json!({
            "id": remote_id,
            "title": title,
            "contentMarkdown": parts.join("\n\n").trim(),
            "tags": named(&text),
        });
        let data = self.ask(cx, UPDATE, json!({ "input": input })).await?;
        let post: Post = read(data["updatePost"]["post"].clone())?;
        Ok(Published::Accepted(post.into()))
    }

    async fn measure(
        &self,
        cx: &Context<'_>,
        _: &'static Placement,
        remote_id: &str,
    ) -> Result<Numbers, Error> {
        known(remote_id)?;
        let alias = format!("p{}", cx.now.unsigned_abs());
        let query = format!(
            "query Count($id: ID!) {{ {alias}: post(id: $id) \
             {{ id views reactionCount responseCount }} }}"
        );
        let data = self.ask(cx, &query, json!({ "id": remote_id })).await;
        let there = data.map_err(Error::harmless)?[&alias].take();
        if there.is_null() {
            return Err(numbers::gone(SPEC.name));
        }
        Ok(numbers::read(
            &there,
            &[
                (Metric::Views, "/views"),
                (Metric::Likes, "/reactionCount"),
                (Metric::Comments, "/responseCount"),
            ],
        ))
    }

    async fn delete(&self, cx: &Context<'_>, remote_id: &str) -> Result<(), Error> {
        known(remote_id)?;
        match self.ask(cx, REMOVE, json!({ "input": { "id": remote_id } })).await {
            Err(error) if error.code.as_deref() == Some("NOT_FOUND") => Ok(()),
            other => other.map(drop),
        }
    }

    fn parse_error(&self, reply: &Reply) -> Error {
        let body = reply.value();
        let said = &body["errors"][0];
        let words = quote(said["message"].as_str().unwrap_or_default());
        let code = said["extensions"]["code"].as_str().unwrap_or_default();
        let mut error = reply.error(SPEC.name);
        if !code.is_empty() {
            error = error.code(code);
        }
        let pro = "Hashnode opens its API to blogs with a Pro plan only.";
        match (code, reply.status.as_u16()) {
            (_, 300..=399) | (_, 402) => {
                error.becomes(Class::Config, pro).action(Action::ActAtNetwork)
            }
            _ if words.to_lowercase().contains("pro plan") => {
                error.becomes(Class::Config, pro).action(Action::ActAtNetwork)
            }
            ("UNAUTHENTICATED", _) | (_, 401) => {
                error.becomes(Class::Auth, "Hashnode refuses the personal access token.")
            }
            ("RATE_LIMITED" | "TOO_MANY_REQUESTS", _) | (_, 429) => {
                error.becomes(Class::RateLimit, "Hashnode asks for fewer calls.")
            }
            ("FORBIDDEN", _) => error
                .becomes(Class::Auth, "The account may not do this at the Hashnode blog.")
                .action(Action::ActAtNetwork),
            ("", 403) => error
                .becomes(Class::Policy, "A firewall before Hashnode refused the request.")
                .code("firewall"),
            ("NOT_FOUND", _) => {
                error.becomes(Class::Content, "Hashnode does not know what the post refers to.")
            }
            ("BAD_USER_INPUT", _) => {
                error.becomes(Class::Content, format!("Hashnode refuses the article: {words}."))
            }
            ("GRAPHQL_VALIDATION_FAILED" | "GRAPHQL_PARSE_FAILED", _) => error
                .becomes(Class::Config, "Hashnode has changed its API: Carillon has to be updated.")
                .action(Action::AskOperator),
            ("", 404 | 405) => {
                error.becomes(Class::Config, "There is no Hashnode API at this address.")
            }
            // An error of no known kind, after a good status: how far it came is not said.
            (_, 200..=299) => error
                .becomes(Class::Transient, "Hashnode is out of order for the moment.")
                .maybe_applied(),
            _ => error,
        }
    }
}

impl Hashnode {
    /// One GraphQL request; its data, where there is nothing else or it is whole.
    async fn ask(&self, cx: &Context<'_>, query: &str, variables: Value) -> Result<Value, Error> {
        let token = cx.account.secret("accessToken")?;
        let body = json!({ "query": query, "variables": variables });
        let request = cx.http.post(&format!("{}/", cx.base)).json(&body);
        let request = request.header("authorization", token.reveal());
        let reply = cx.http.send(request, cx.timeout).await?;
        if !reply.ok() {
            return Err(self.parse_error(&reply));
        }
        let answer: Value = reply.json()?;
        match (&answer["errors"], &answer["data"]) {
            (Value::Null, Value::Object(_)) => Ok(answer["data"].clone()),
            (Value::Null, _) => Err(Error::garbled("no data").status(reply.status.as_u16())),
            _ => Err(self.parse_error(&reply)),
        }
    }

    async fn state(&self, cx: &Context<'_>) -> Result<State, Error> {
        let saved = |name: &str| cx.saved_str(name).unwrap_or_default();
        // Aliases of this moment: no cache has seen these words before.
        let at = cx.now.unsigned_abs();
        let query = format!(
            "query State($draft: ObjectId!, $blog: ObjectId!, $slug: String!) {{ \
             d{at}: draft(id: $draft) {{ id publishedPost {{ id url }} }} \
             b{at}: publication(id: $blog) {{ id post(slug: $slug) {{ id url }} }} }}"
        );
        let ask = json!({
            "draft": saved("draft"), "blog": saved("publication"), "slug": saved("slug"),
        });
        let data = self.ask(cx, &query, ask).await?;
        let (draft, blog) = (&data[format!("d{at}")], &data[format!("b{at}")]);
        for post in [&draft["publishedPost"], &blog["post"]] {
            if !post.is_null() {
                return Ok(State::Published(read::<Post>(post.clone())?.into()));
            }
        }
        if blog.is_null() {
            return Err(Error::new(Class::Transient, "Hashnode does not show the blog."));
        }
        Ok(if draft.is_null() { State::Nowhere } else { State::Draft })
    }

    /// The draft's id. A slug that is saved without an id is one whose answer may have been lost.
    async fn draft(
        &self,
        cx: &Context<'_>,
        out: &Rendition,
        publication: &str,
    ) -> Result<String, Error> {
        let (title, text) = title_and_text(out, TITLE_MAX);
        let slug = cx.saved_str("slug").unwrap_or_else(|| slug(&title, &out.key));
        let input = draft(out, publication, &title, &text, &slug)?;
        if cx.saved("slug").is_some() {
            let query = "query Drafts($blog: ObjectId!) { publication(id: $blog) \
                         { id drafts(first: 20) { edges { node { id slug } } } } }";
            let data = self.ask(cx, query, json!({ "blog": publication })).await?;
            let drafts: Edges<Draft> = read(data["publication"]["drafts"].clone())?;
            let mut drafts = drafts.edges.into_iter().map(|edge| edge.node);
            if let Some(made) = drafts.find(|draft| draft.slug == slug) {
                return Ok(made.id);
            }
        } else {
            cx.checkpoint("slug", slug).await?;
        }
        let data = self.ask(cx, CREATE, json!({ "input": input })).await?;
        Ok(read::<Draft>(data["createDraft"]["draft"].clone())?.id)
    }
}

/// The draft as it is sent: the first picture is the cover, the others follow the text.
fn draft(
    out: &Rendition,
    publication: &str,
    title: &str,
    text: &str,
    slug: &str,
) -> Result<Value, Error> {
    let mut content = without_closing_tags(text).to_owned();
    for media in out.media.iter().skip(1) {
        content.push_str("\n\n");
        content.push_str(&picture(&media.alt, address(media, SPEC.name)?));
    }
    let mut draft = json!({
        "publicationId": publication,
        "title": title,
        "slug": slug,
        "contentMarkdown": content.trim(),
        "tags": named(text),
        "settings": { "slugOverridden": true },
    });
    if let Some(cover) = out.media.first() {
        draft["coverImageOptions"] = json!({ "coverImageURL": address(cover, SPEC.name)? });
    }
    Ok(draft)
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|_| Error::garbled("something unreadable"))
}

/// `Blog.example` of `https://blog.example/page`.
fn host(address: &str) -> String {
    let bare = address.trim().split_once("://").map_or(address.trim(), |(_, rest)| rest);
    bare.split('/').next().unwrap_or_default().to_ascii_lowercase()
}

fn known(id: &str) -> Result<(), Error> {
    if id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Error::new(Class::Content, "This is not the id of an article of Hashnode."))
}

/// The tags of a text, by name: five of plain letters.
fn named(text: &str) -> Vec<Value> {
    let plain = |tag: &String| tag.bytes().all(|b| b.is_ascii_alphanumeric());
    let tags = tags(text).into_iter().filter(plain).take(TAGS_MAX);
    tags.map(|tag| json!({ "name": tag, "slug": tag })).collect()
}

fn no_draft() -> Error {
    Error::new(Class::Transient, "The draft is not at Hashnode; a new one is made.")
        .code("no_draft")
        .restart()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Applied;
    use crate::http::reply;

    #[test]
    fn an_error_with_a_good_status_is_an_error() {
        let of = |code: &str, message: &str| {
            let error = json!({ "message": message, "extensions": { "code": code } });
            Hashnode.parse_error(&reply(200, &[], &json!({ "errors": [error] }).to_string()))
        };
        for (code, class, applied) in [
            ("UNAUTHENTICATED", Class::Auth, Applied::No),
            ("FORBIDDEN", Class::Auth, Applied::No),
            ("NOT_FOUND", Class::Content, Applied::No),
            ("BAD_USER_INPUT", Class::Content, Applied::No),
            ("INTERNAL_SERVER_ERROR", Class::Transient, Applied::Maybe),
            ("SOMETHING_NEW", Class::Transient, Applied::Maybe),
        ] {
            let error = of(code, "Why it is so.");
            assert_eq!((error.class, error.applied), (class, applied), "{code}");
            assert_eq!(error.code.as_deref(), Some(code));
        }
        let error = of("FORBIDDEN", "This publication needs an active Pro plan.");
        assert_eq!((error.class, error.action), (Class::Config, Action::ActAtNetwork));
    }

    #[test]
    fn a_blog_is_known_by_its_host() {
        for same in ["blog.example", "https://Blog.example/", " http://blog.example/page?x "] {
            assert_eq!(host(same), "blog.example");
        }
    }

    #[test]
    fn tags_are_of_plain_letters() {
        let out = Rendition { text: "Text #Über #one_two #one".into(), ..Rendition::default() };
        let draft = draft(&out, "p", "T", &out.text, "s").unwrap();
        assert_eq!(draft["tags"], json!([{ "name": "one", "slug": "one" }]));
        assert_eq!(draft["contentMarkdown"], "Text #Über #one_two #one");
    }
}

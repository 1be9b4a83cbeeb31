//! What each network takes, as data: the same that preflight and worker read.
//!
//! The types below describe the connectors' `Spec` for the documentation, because that crate knows
//! no OpenAPI. A test holds the two against each other.

use carillon_networks::Spec;
use carillon_networks::spec::Can;
use serde::Serialize;
use utoipa::ToSchema;

use crate::web::error::Reads;
use crate::web::{ApiError, Caller, Json};

/// Every network that can be connected.
#[derive(Serialize, ToSchema)]
pub struct Networks {
    #[schema(value_type = Vec<NetworkSpec>)]
    items: Vec<Shown>,
    #[schema(value_type = Option<String>)]
    next: (),
}

/// A SPEC with all that it amounts to.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    spec: &'static Spec,
    abilities: Can,
}

impl From<&'static Spec> for Shown {
    fn from(spec: &'static Spec) -> Self {
        Self { spec, abilities: spec.can() }
    }
}

/// Lists the networks, with what each asks for and what it takes.
#[utoipa::path(get, path = "/networks", tag = "networks",
    responses((status = 200, description = "Every network, in display order.", body = Networks), Reads))]
pub async fn list(_: Caller) -> Result<Json<Networks>, ApiError> {
    let items = carillon_networks::ALL.iter().map(|n| n.spec().into()).collect();
    Ok(Json(Networks { items, next: () }))
}

/// A network: what it asks for, and what it takes.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct NetworkSpec {
    #[schema(example = "bluesky")]
    id: String,
    #[schema(example = "Bluesky")]
    name: String,
    /// Two letters for chips.
    #[schema(example = "BS")]
    code: String,
    /// Where its API is; empty when every connection names a `server` of its own.
    base_url: String,
    /// How to connect through its own consent page; `null` where it has none.
    oauth: Option<OAuthSpec>,
    /// How long a token lives: `endless`, `fixed`, `extending`, `rotating`
    life: String,
    /// What to enter when connecting, in order.
    fields: Vec<FieldSpec>,
    /// Where a post can go. The first is the default.
    placements: Vec<PlacementSpec>,
    abilities: AbilitiesSpec,
    budgets: Vec<BudgetSpec>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct OAuthSpec {
    authorize: String,
    token: String,
    scopes: Vec<String>,
    /// Further ones, with which numbers can be read: publishing does without.
    reading: Vec<String>,
    separator: String,
    pkce: bool,
    id_param: String,
    /// `body`, `basic`
    secret_in: String,
    /// Further parameters of the consent page, as pairs.
    params: Vec<Vec<String>>,
    /// How an operator sets up the app, step by step.
    guide: Vec<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct FieldSpec {
    key: String,
    label: String,
    /// Where to find it.
    help: String,
    /// Sealed, and never shown again.
    secret: bool,
    required: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct PlacementSpec {
    #[schema(example = "feed")]
    id: String,
    name: String,
    send: SendSpec,
    /// The placements that it may follow, as the next part of a thread or a first comment; empty
    /// for one that stands alone.
    follows: Vec<String>,
    /// Does the network count it among its posts? A budget may count others.
    in_budget: bool,
    /// What can be changed of a post once it is live: `no`, `text`, `titleAndText`
    edit: String,
    /// What of followers it tells: `views`, `reach`, `likes`, `comments`, `shares`, `saves`, `clicks`
    measures: Vec<String>,
    text: TextSpec,
    media: MediaSpec,
    /// What else a post here can be told, in the order to ask for it.
    options: Vec<OptionSpec>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct OptionSpec {
    /// Where its answer stands in a delivery's `options`.
    key: String,
    label: String,
    help: String,
    required: bool,
    kind: KindSpec,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct KindSpec {
    /// `line`, `lines` (each another), `words` (apart by commas), `link`, `localTime` (`2026-12-24` or
    /// `2026-12-24T18:30`), `flag` (`true` or `false`), `oneOf`, `picture`
    r#type: String,
    /// Most characters; of `lines`, most lines.
    max: Option<u64>,
    /// Fewest lines.
    min: Option<u64>,
    /// Most characters of a line.
    chars: Option<u64>,
    max_bytes: Option<u64>,
    picks: Option<Vec<PickSpec>>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "read by the documentation only")]
struct PickSpec {
    value: String,
    label: String,
}

/// What is known after a send whose answer was lost.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct SendSpec {
    /// `keyed`, `handle`, `readable`, `blind`
    class: String,
    /// `keyed`: for how many seconds the same key is harmless; `null` for ever.
    #[schema(required = false)]
    horizon: Option<u64>,
    /// `readable`: by how many seconds its listing may lag behind.
    #[schema(required = false)]
    lag: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct TextSpec {
    max: u64,
    /// `chars`, `utf16`, `graphemes`, `mastodon`
    count: String,
    max_bytes: Option<u64>,
    /// The limit where media is attached.
    max_with_media: Option<u64>,
    /// The limit of a text that is the question of a poll; `null` where it is none.
    question_max: Option<u64>,
    max_hashtags: Option<u64>,
    max_mentions: Option<u64>,
    /// `null` where posts have no title.
    title_max: Option<u64>,
    required: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct MediaSpec {
    min: u64,
    max: u64,
    /// Content types; other pictures are converted.
    types: Vec<String>,
    max_bytes: u64,
    /// Narrowest and widest width ÷ height.
    ratio: Option<Vec<f32>>,
    /// `original`, `square`, `story`, `landscape`
    derivative: String,
    /// Does the network fetch pictures from this installation?
    pull: bool,
    /// Most characters of a description; 0 where there is none.
    alt_max: u64,
    /// What it takes of videos; `null` for none.
    video: Option<VideoSpec>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct VideoSpec {
    max: u64,
    types: Vec<String>,
    max_bytes: u64,
    /// Shortest and longest, in seconds.
    seconds: Vec<u32>,
    ratio: Option<Vec<f32>>,
    /// Fewest pixels of the shorter side and most of the longer, where the network says.
    side: Option<Vec<u32>>,
    /// May pictures stand beside it?
    mixed: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct AbilitiesSpec {
    delete: bool,
    read_back: bool,
    alt_text: bool,
    /// Something of what is live can be changed; the placements say what.
    edit: bool,
    /// What followers did can be read; the placements say what of it.
    measure: bool,
    /// A post can carry a poll: its placements have the option `poll`.
    polls: bool,
    /// A post can go on in a thread.
    threads: bool,
    first_comment: bool,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "read by the documentation only")]
struct BudgetSpec {
    posts: u64,
    /// Seconds.
    per: u64,
    /// The placements that it counts; empty: those with `inBudget`.
    of: Vec<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use utoipa::PartialSchema;

    use super::*;

    /// The keys of a documented type, and those it demands.
    fn documented<T: PartialSchema>() -> (BTreeSet<String>, BTreeSet<String>) {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let keys = schema["properties"].as_object().expect("an object").keys().cloned();
        let required = schema["required"].as_array().into_iter().flatten();
        (keys.collect(), required.map(|k| k.as_str().unwrap().to_owned()).collect())
    }

    fn agrees<T: PartialSchema>(value: &Value) {
        let (documented, required) = documented::<T>();
        let sent: BTreeSet<String> =
            value.as_object().expect("an object").keys().cloned().collect();
        assert!(sent.is_subset(&documented), "undocumented in {sent:?}, known {documented:?}");
        assert!(required.is_subset(&sent), "demanded {required:?}, sent {sent:?}");
    }

    #[test]
    fn the_documentation_says_what_is_sent() {
        for network in carillon_networks::ALL {
            let spec = serde_json::to_value(Shown::from(network.spec())).unwrap();
            agrees::<NetworkSpec>(&spec);
            agrees::<AbilitiesSpec>(&spec["abilities"]);
            if !spec["oauth"].is_null() {
                agrees::<OAuthSpec>(&spec["oauth"]);
            }
            spec["fields"].as_array().unwrap().iter().for_each(agrees::<FieldSpec>);
            spec["budgets"].as_array().unwrap().iter().for_each(agrees::<BudgetSpec>);
            for placement in spec["placements"].as_array().unwrap() {
                agrees::<PlacementSpec>(placement);
                agrees::<SendSpec>(&placement["send"]);
                agrees::<TextSpec>(&placement["text"]);
                agrees::<MediaSpec>(&placement["media"]);
                for option in placement["options"].as_array().unwrap() {
                    agrees::<OptionSpec>(option);
                    agrees::<KindSpec>(&option["kind"]);
                }
                if !placement["media"]["video"].is_null() {
                    agrees::<VideoSpec>(&placement["media"]["video"]);
                }
            }
        }
    }
}

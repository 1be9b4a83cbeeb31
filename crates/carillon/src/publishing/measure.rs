//! Text and media held against what a network takes and what this installation demands: before a
//! post is taken, and once more before it is due.

use carillon_networks::spec::Beside;
use carillon_networks::text;

use super::draft::Draft;
use super::guard;
use super::options;
use super::plan::Planned;
use crate::App;
use crate::app::Networks;
use crate::domain::policy::Policies;
use crate::domain::refusal::Wrong;
use crate::media::video;
use crate::store::connections::Connection;
use crate::store::deliveries::Delivery;
use crate::store::media::Media;
use crate::store::posts::Post;

/// What a draft is held against besides its connections.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub networks: Networks,
    media_required: bool,
    /// Of a campaign a story has exactly one medium.
    one_a_story: bool,
    /// Networks that fetch pictures can reach this server.
    reachable: bool,
}

impl Rules {
    pub(super) fn of(app: &App) -> Self {
        let sandboxed = !app.config.networks.sandbox.is_empty();
        Self {
            networks: app.networks,
            media_required: app.config.publishing.media_required,
            one_a_story: false,
            reachable: sandboxed || is_public(&app.public_url()),
        }
    }

    /// As a workspace wants it: a campaign's posts have media where nothing else is said.
    pub(super) fn with(self, policies: &Policies, campaign: bool) -> Self {
        let required = policies.media_required.unwrap_or(campaign || self.media_required);
        Self { media_required: required, one_a_story: campaign && required, ..self }
    }
}

/// Text and media against what the network takes.
pub(super) fn measure(
    p: &mut Planned,
    draft: &Draft,
    media: &[Media],
    rules: Rules,
    wrong: &mut Vec<Wrong>,
) {
    let body = p.text.as_deref().unwrap_or(&draft.text);
    p.content_hash = guard::content_hash(body, &draft.media);
    let rule = &p.placement.text;
    let with_media = !media.is_empty();
    p.count = text::count(rule.count, body);
    let beside = options::beside(&p.options, with_media);
    p.max = rule.limit(beside);
    let field = format!("deliveries[{}]", p.position);
    let id = p.connection.id.clone();
    for found in text::problems(p.spec, p.placement, body, draft.title.as_deref(), beside) {
        let part = if found.code.starts_with("title") { "title" } else { "text" };
        wrong.push(Wrong::new(format!("{field}.{part}"), found.code, found.message).at(&id));
    }
    let name = p.spec.name;
    let rule = &p.placement.media;
    // A poll stands alone.
    let required = rules.media_required && beside != Beside::Poll;
    let min = rule.min.max(usize::from(required));
    let asked = draft.media.len();
    let place = p.placement.name;
    let what = match (rule.types.is_empty(), &rule.video) {
        (true, Some(_)) => "video",
        (false, Some(_)) => "picture or video",
        (_, None) => "picture",
    };
    let mut say = |code, message: String| {
        wrong.push(Wrong::new(format!("{field}.media"), code, message).at(&id));
    };
    if asked < min {
        say("media_required", format!("{name} ({place}) needs at least {min} {what}."));
    }
    if rules.one_a_story && p.placement.id == "story" && asked > 1 {
        say("one_medium", format!("{name} ({place}) takes exactly one {what} in a campaign."));
    }
    if asked > rule.max {
        let some = if rule.max == 1 { "" } else { "s" };
        say(
            "too_many_media",
            format!("{name} ({place}) takes at most {} {what}{some}, there are {asked}.", rule.max),
        );
    }
    let films = media.iter().filter(|m| m.is_video()).count();
    let pictures = media.len() - films;
    if films > 0 && rule.video.is_none() {
        say("no_videos", format!("{name} ({place}) takes no videos."));
    }
    if pictures > 0 && rule.types.is_empty() && rule.max > 0 {
        say("no_pictures", format!("{name} ({place}) takes a video, and no pictures."));
    }
    if let Some(video) = rule.video.filter(|v| films > v.max || films * pictures > 0 && !v.mixed) {
        let beside = if video.mixed { "" } else { ", and none beside pictures" };
        say(
            "too_many_videos",
            format!("{name} ({place}) takes at most {} video{beside}.", video.max),
        );
    }
    if let Some(video) = &rule.video {
        for film in media.iter().filter(|m| m.is_video()) {
            if let Some(misfit) = video::misfit(&format!("{name} ({place})"), video, film) {
                say(misfit.code, misfit.message);
            }
        }
    }
    if rule.pull && asked > 0 && !rules.reachable {
        let message = format!(
            "{name} fetches pictures from this server, which has no public https address: set \
             `CARILLON_PUBLIC_URL`."
        );
        say("public_url_required", message);
    }
    options::measure(p, asked > 0, wrong);
}

/// What stands against a delivery that was planned before, as things are now.
pub(super) fn remeasured(
    d: &Delivery,
    post: &Post,
    connection: &Connection,
    media: &[Media],
    rules: Rules,
) -> Vec<Wrong> {
    let spec = crate::app::find(rules.networks, &d.network).map(|n| n.spec());
    let Some((spec, placement)) = spec.and_then(|s| Some((s, s.placement(&d.placement)?))) else {
        let message = format!("{} has no placement `{}` any more.", d.network, d.placement);
        return vec![Wrong::new("placement", "unknown_placement", message)];
    };
    // What follows a post has neither its title nor its media.
    let segment = d.parent_id.is_some();
    let media = if segment { &[] } else { media };
    let rules = Rules { media_required: rules.media_required && !segment, ..rules };
    let draft = Draft {
        text: post.text.clone(),
        title: post.title.clone().filter(|_| !segment),
        media: media.iter().map(|m| m.id.clone()).collect(),
        ..Draft::default()
    };
    let mut planned = Planned {
        position: d.position as usize,
        connection: connection.clone(),
        spec,
        placement,
        text: d.text.clone(),
        options: d.options.clone(),
        at: d.scheduled_at,
        content_hash: String::new(),
        count: 0,
        max: 0,
        segments: Vec::new(),
    };
    let mut wrong = Vec::new();
    measure(&mut planned, &draft, media, rules, &mut wrong);
    wrong
}

/// Is this an address that a network's servers can fetch from?
fn is_public(url: &str) -> bool {
    let Ok(url) = url.parse::<url::Url>() else { return false };
    let own = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => true,
    };
    url.scheme() == "https" && !own
}

#[cfg(test)]
mod tests {
    use super::is_public;

    #[test]
    fn a_network_can_fetch_from_a_public_https_address_only() {
        assert!(is_public("https://posts.example.com"));
        for own in [
            "",
            "http://posts.example.com",
            "https://localhost:8080",
            "https://10.0.0.7",
            "https://[::1]",
        ] {
            assert!(!is_public(own), "{own}");
        }
    }
}

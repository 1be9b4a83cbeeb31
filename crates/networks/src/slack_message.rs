//! What a Slack app and a Slack webhook share: how text is written, and the table of errors.
//!
//! Source: Slack's method reference (`chat.postMessage`, `files.*`, `conversations.*`,
//! `oauth.v2.access`) and its list of webhook errors, checked 2026-11-22. The Web API answers 200
//! with `"ok": false` and a word; webhooks answer a status with the same kind of word as their body.

use crate::error::{Action, Class, Error, quote};
use crate::http::Reply;
use crate::spec::{Count, Derivative, MediaRule, Text};

/// Slack cuts at 40,000 and advises to stay below 4,000.
pub(crate) const TEXT: Text = Text {
    max: 4_000,
    count: Count::Chars,
    max_bytes: None,
    max_with_media: None,
    question_max: None,
    max_hashtags: None,
    max_mentions: None,
    title_max: None,
    required: true,
};

pub(crate) const NO_MEDIA: MediaRule = MediaRule {
    min: 0,
    max: 0,
    types: &[],
    max_bytes: 0,
    ratio: None,
    derivative: Derivative::Original,
    pull: false,
    alt_max: 0,
    video: None,
};

/// The three letters that mean something in `mrkdwn`: without them nothing in a text is a mention
/// of everybody or a link that reads as another.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// What the word of a refusal means; `None` where there is none and the status has to do.
pub(crate) fn refusal(reply: &Reply, word: Option<&str>) -> Error {
    let error = reply.error("Slack");
    let status = reply.status.as_u16();
    let Some(word) = word else {
        return match status {
            429 => error.becomes(Class::RateLimit, "Slack asks for fewer calls."),
            _ => error,
        };
    };
    let error = error.code(word);
    let body = reply.value();
    let is = |class, says: &str| error.clone().becomes(class, says);
    match word {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            is(Class::RateLimit, "Slack asks for fewer calls.")
        }
        _ if status == 429 => is(Class::RateLimit, "Slack asks for fewer calls."),
        // In the documents' words some of it may have succeeded.
        "internal_error" | "fatal_error" | "service_unavailable" | "rollup_error" => {
            is(Class::Transient, "Slack is out of order for the moment.").maybe_applied()
        }
        "request_timeout" => is(Class::Transient, "Slack did not get the whole request."),
        "team_added_to_org" | "org_login_required" => {
            is(Class::Transient, "The Slack workspace is being moved to an organisation.")
        }
        "missing_scope" => {
            let needed = quote(body["needed"].as_str().unwrap_or("that it needs"));
            is(Class::Auth, &format!("The Slack app lacks a right: {needed}."))
        }
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "not_allowed_token_type"
        | "not_bearer_token"
        | "is_bot"
        | "no_permission"
        | "access_denied"
        | "accesslimited"
        | "app_access_restricted"
        | "two_factor_setup_required"
        | "enterprise_is_restricted" => is(Class::Auth, "Slack refuses the access token."),
        "invalid_code" | "invalid_refresh_token" | "invalid_code_verifier" => {
            is(Class::Auth, "Slack no longer accepts this consent: connect again.")
        }
        "invalid_token" | "no_service" | "no_service_id" | "no_active_hooks" | "no_team"
        | "team_disabled" => is(
            Class::Auth,
            "Slack no longer has this webhook: make a new one and enter its address.",
        ),
        "bad_client_secret"
        | "invalid_client_id"
        | "bad_redirect_uri"
        | "no_scopes"
        | "invalid_scope"
        | "invalid_grant_type"
        | "oauth_authorization_url_mismatch"
        | "pkce_not_allowed" => is(Class::Config, "Slack refuses how its app is set up here.")
            .action(Action::AskOperator),
        "method_deprecated" | "deprecated_endpoint" | "unknown_method" => {
            is(Class::Config, "Slack no longer speaks what this installation speaks.")
                .action(Action::AskOperator)
        }
        "not_in_channel" => {
            is(Class::Config, "The app is not in the Slack channel: invite it there.")
                .action(Action::ActAtNetwork)
        }
        "channel_not_found" | "team_not_found" | "user_not_found" | "invalid_channel" => {
            is(Class::Config, "Slack knows no such channel, or the app is not in it.")
        }
        "is_archived" | "channel_is_archived" => {
            is(Class::Config, "The Slack channel is archived.").action(Action::ActAtNetwork)
        }
        "action_prohibited"
        | "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "posting_to_general_channel_denied"
        | "posting_to_channel_denied"
        | "channel_is_limited_access"
        | "ekm_access_denied"
        | "messages_tab_disabled"
        | "slack_connect_file_link_sharing_blocked" => {
            is(Class::Config, "The Slack workspace does not let the app post in this channel.")
                .action(Action::ActAtNetwork)
        }
        "storage_limit_reached" => is(Class::Config, "The Slack workspace has no room for files.")
            .action(Action::ActAtNetwork),
        "duplicate_message_not_found" | "duplicate_channel_not_found" => {
            is(Class::Duplicate, "Slack has had this message already and does not show it.")
        }
        "file_not_found" | "file_deleted" | "missing_file_data" => {
            is(Class::Transient, "Slack no longer has an uploaded picture.").restart()
        }
        // The picture of a block is not ready yet or gone; blocks themselves are ours.
        "invalid_blocks" if said(reply).contains("slack file") => {
            is(Class::Transient, "Slack does not have a picture ready to be shown.").restart()
        }
        "no_text" | "missing_text_or_fallback_or_attachments" => {
            is(Class::Content, "Slack takes no message without text.")
        }
        "msg_too_long" | "msg_blocks_too_long" => {
            is(Class::Content, "The text is too long for Slack.")
        }
        "file_uploads_disabled" | "file_type_not_allowed" | "file_upload_size_restricted" => {
            is(Class::Content, "The Slack workspace does not take this file.")
        }
        "message_not_found" => is(Class::Content, "Slack does not have this message."),
        "thread_not_found" | "cannot_reply_to_message" | "restricted_action_thread_locked" => {
            is(Class::Content, "Slack does not let a message follow this one.")
        }
        "cant_update_message" | "edit_window_closed" => {
            is(Class::Content, "Slack does not let the app change this message any more.")
                .action(Action::ActAtNetwork)
        }
        "cant_delete_message" => is(Class::Auth, "Slack does not let the app delete this message.")
            .action(Action::ActAtNetwork),
        _ => match said(reply) {
            said if said.is_empty() => {
                is(Class::Content, &format!("Slack refuses the message: {}.", quote(word)))
            }
            said => is(Class::Content, &format!("Slack refuses the message: {said}.")),
        },
    }
}

/// The exact words beside the word of an error, where there are some: `[ERROR] … [json-pointer:…]`.
fn said(reply: &Reply) -> String {
    let body = reply.value();
    let first = body["errors"][0].as_str().or(body["response_metadata"]["messages"][0].as_str());
    let first = first.unwrap_or_default().trim_start_matches("[ERROR] ");
    quote(first.split(" [json-pointer").next().unwrap_or_default())
}

/// A word of the table: anything else is a page of some gateway.
pub(crate) fn word(text: &str) -> Option<&str> {
    let text = text.trim();
    let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (letters && !text.is_empty() && text.len() <= 80).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Applied;
    use crate::http::reply;

    #[test]
    fn nothing_in_a_text_is_a_command() {
        assert_eq!(escaped("<!channel> R&D > 3"), "&lt;!channel&gt; R&amp;D &gt; 3");
        assert_eq!(escaped("*bold* &amp; ü"), "*bold* &amp;amp; ü");
    }

    #[test]
    fn a_picture_that_is_not_ready_is_another_thing_than_a_wrong_block() {
        let body = r#"{"ok":false,"error":"invalid_blocks","errors":["invalid slack file [json-pointer:/blocks/1/slack_file]"]}"#;
        let error = refusal(&reply(200, &[], body), Some("invalid_blocks"));
        assert_eq!(
            (error.class, error.applied, error.restart),
            (Class::Transient, Applied::No, true)
        );
        let body = r#"{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"]}}"#;
        let error = refusal(&reply(200, &[], body), Some("invalid_blocks"));
        assert_eq!(error.class, Class::Content);
        assert_eq!(error.sentence, "Slack refuses the message: must be less than 3001 characters.");
    }

    #[test]
    fn a_page_is_no_word() {
        assert_eq!(word("no_service\n"), Some("no_service"));
        for page in ["", "<html>", "No service", "ok ok", &"a".repeat(81)] {
            assert_eq!(word(page), None, "{page}");
        }
    }
}

//! Answering 401 and 407 by ourselves.

use crate::auth::{AuthValue, answer_challenge};
use crate::message::Message;
use crate::method::StatusCode;
use crate::request::Request;
use crate::ua::UserAgent;

impl UserAgent {
    /// Answers the challenges of every realm for which we are somebody.
    pub(super) fn add_credentials(
        &mut self,
        request: &mut Request,
        response: &Message<'_>,
    ) -> bool {
        let proxy = response.status() == Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let (asks, answers) = if proxy {
            ("Proxy-Authenticate", "Proxy-Authorization")
        } else {
            ("WWW-Authenticate", "Authorization")
        };
        let mut done: Vec<String> = Vec::new();
        for line in response.header_all(asks) {
            let Ok(challenge) = AuthValue::parse(line) else { continue };
            let Some(realm) = challenge.param("realm") else { continue };
            // RFC 8760 §2.4: the topmost challenge of a realm that we can answer.
            if done.iter().any(|done| *done == realm) {
                continue;
            }
            let stale = challenge.param("stale").is_some_and(|stale| stale == "true");
            if !stale && has_answered(request, answers, &realm) {
                return false;
            }
            let cnonce = self.draw_token();
            let fits = self.config.credentials.iter().find(|own| own.fit(&realm));
            let method = request.method.as_str();
            let uri = request.uri.as_str();
            let answer = fits.and_then(|own| {
                answer_challenge(&challenge, own, method, uri, &request.body, &cnonce, 1)
            });
            let Some(answer) = answer else { continue };
            drop_answers(request, answers, &realm);
            request.headers.push(answers, answer);
            done.push(realm.into_owned());
        }
        !done.is_empty()
    }
}

fn has_answered(request: &Request, name: &str, realm: &str) -> bool {
    request.headers.all(name).any(|line| is_of(line, realm))
}

fn drop_answers(request: &mut Request, name: &str, realm: &str) {
    let kept = request.headers.all(name).filter(|line| !is_of(line, realm));
    let kept: Vec<String> = kept.map(str::to_owned).collect();
    request.headers.remove(name);
    for line in kept {
        request.headers.push(name, line);
    }
}

fn is_of(line: &str, realm: &str) -> bool {
    let value = AuthValue::parse(line);
    value.is_ok_and(|value| value.param("realm").is_some_and(|own| own == realm))
}

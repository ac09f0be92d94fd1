use super::ClientConfig;
use crate::command::{Command, CommandBody};
use crate::keys::ConferenceKeys;
use crate::request::{Request, RequestId};
use crate::token::Role;
use crate::user::{Endpoint, User};
use crate::xml::{Element, Namespace};

/// The request that a client joins a conference with, in the INVITE to the focus.
///
/// `lobby_capable` says that the client can wait to be let in; one that cannot is refused where it
/// would have to.
#[must_use]
pub fn join_request(
    focus: &str,
    user: &str,
    endpoint: &str,
    display_name: &str,
    lobby_capable: bool,
) -> Request {
    let command = command(focus, user, endpoint, display_name, lobby_capable);
    Request::new(RequestId(0), user, focus, command)
}

pub(super) fn join_command(config: &ClientConfig) -> Command {
    command(&config.focus, &config.user, &config.endpoint, &config.display_name, true)
}

/// `addUser` as it stands in the INVITE ([MS-CONFBAS] 2.2.3.4).
fn command(focus: &str, user: &str, endpoint: &str, name: &str, lobby_capable: bool) -> Command {
    let mut joining = User::new(user);
    if !name.is_empty() {
        joining.display_text = Some(name.into());
    }
    joining.roles = Some(vec![Role::Attendee]);
    let mut session = Endpoint { entity: endpoint.into(), ..Endpoint::default() };
    if lobby_capable {
        let capable = Element::new(Namespace::ConfInfoExtensions2, "lobby-capable");
        let info = Element::new(Namespace::ConfInfoExtensions, "clientInfo")
            .with_child(Element::new(Namespace::Separator, "separator"))
            .with_child(capable.with_text("true"));
        session.extensions.elements_mut().push(info);
    }
    joining.endpoints.push(session);
    let keys = ConferenceKeys::new(focus);
    Command::new(CommandBody::AddUser { keys, user: Box::new(joining) })
}

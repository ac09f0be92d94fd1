use crate::command::CommandBody;
use crate::entity::Entity;
use crate::reason::Diagnostic;
use crate::request::Request;
use crate::response::Response;
use crate::uri::ConferenceUri;

/// Who is at the two ends of a dialog with a focus: what requests and responses in it are held
/// against before anything they say is believed.
///
/// ```
/// use linkspan_c3p::{Command, CommandBody, ConferenceKeys, Diagnostic, FocusDialog, Request, RequestId};
///
/// let focus = "sip:alice@contoso.example;gruu;opaque=app:conf:focus:id:K7Q2M4ZD";
/// let dialog = FocusDialog::new("sip:bob@contoso.example", focus);
/// let command = Command::new(CommandBody::GetConference(ConferenceKeys::new(focus)));
/// let forged = Request::new(RequestId(1), "sip:mallory@evil.example", focus, command);
/// assert_eq!(dialog.check_request(&forged), Err(Diagnostic::InvalidFrom));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FocusDialog {
    /// The user, as authenticated: the From URI of the dialog.
    pub user: Entity,
    /// The focus, or the factory: the To URI of the dialog.
    pub focus: Entity,
}

impl FocusDialog {
    /// A dialog between a user and a focus.
    #[must_use]
    pub fn new(user: &str, focus: &str) -> Self {
        Self { user: user.into(), focus: focus.into() }
    }

    /// Checks a request of the user.
    ///
    /// # Errors
    ///
    /// When it names another sender, focus, or conference, or a conferencing server of another
    /// conference: what to say about it.
    pub fn check_request(&self, request: &Request) -> Result<(), Diagnostic> {
        if request.from != self.user {
            return Err(Diagnostic::InvalidFrom);
        }
        if request.to != self.focus {
            return Err(Diagnostic::InvalidTo);
        }
        let own: Option<ConferenceUri> = self.focus.parse().ok();
        let is_own = |entity: &Entity| match (&own, entity.parse::<ConferenceUri>()) {
            (Some(own), Ok(uri)) if own.conference_id().is_some() => own.is_same_conference(&uri),
            // A factory serves all of its organiser's conferences.
            (Some(own), Ok(uri)) => own.organizer.eq_ignore_ascii_case(&uri.organizer),
            _ => *entity == self.focus,
        };
        let command = &request.command;
        let is_new = matches!(command.body, CommandBody::AddConference(_));
        if !is_new && command.body.conf_entity().is_some_and(|entity| !is_own(entity)) {
            return Err(Diagnostic::InvalidConferenceEntity);
        }
        if command.mcu_uri.as_ref().is_some_and(|uri| !is_own(uri)) {
            return Err(Diagnostic::InvalidMcuUri);
        }
        Ok(())
    }

    /// Checks a response of the focus. Whether its request is still waiting is a matter of
    /// [`Requests`](crate::Requests).
    ///
    /// # Errors
    ///
    /// When it names another sender or recipient: drop it.
    pub fn check_response(&self, response: &Response) -> Result<(), Diagnostic> {
        if response.from != self.focus {
            return Err(Diagnostic::InvalidFrom);
        }
        if response.to != self.user {
            return Err(Diagnostic::InvalidTo);
        }
        Ok(())
    }
}

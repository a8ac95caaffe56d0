//! What a dialled number is, and what its caller is told before the call goes on (RFC 7081 §5).

use std::time::Instant;

use cusax_event::sip::{Classified, Cue, CueKind};
use cusax_event::{Event, Identity};
use cusax_numbering::{Classification, Dialled};
use cusax_sip::proxy::ContextId;
use cusax_sip::{Message, Scheme, Uri};

use cusax_event::sip::NumberClass;

use crate::config::Action;
use crate::request::Request;
use crate::route::{Origin, Target};
use crate::{Edge, Headline, Output, cue};

pub(crate) const NO_NUMBER: Classification = Classification { class: None, e164: None, territory: None };

impl Edge {
    /// What the caller is told about charges before the call goes on (RFC 7081 §5).
    pub(crate) fn charge(&mut self, request: &mut Request, target: &Target, id: ContextId, now: Instant) -> Action {
        let Some(class) = request.number.class else { return Action::Allow };
        if !request.is_initial_invite() || request.origin != Origin::Access {
            return Action::Allow;
        }
        if target.zone.is_none() && request.number.e164.is_none() {
            // A conference by its address is no number.
            return Action::Allow;
        }
        let number = request.number.e164.clone().unwrap_or_else(|| request.message.request_uri_text().to_owned());
        let told = Identity::number(number.as_str());
        let correlation = request.correlation.clone();
        self.tell(Event::Classified(Classified { class, number: told.clone(), correlation: correlation.clone() }));
        if target.zone.is_none() || request.is_emergency() {
            return Action::Allow;
        }
        let (action, class) = self.strictest(&request.message, class);
        request.number.class = Some(class);
        let caller = request
            .caller
            .as_ref()
            .map(|account| Identity::uri(format!("sip:{}@{}", account.user, self.config.domain)));
        let cue = |kind, this: &mut Self| {
            let (number, caller, correlation) = (told.clone(), caller.clone(), correlation.clone());
            this.tell(Event::Cue(Cue { kind, class, number, caller, correlation }));
        };
        match action {
            Action::Allow => {}
            Action::Block => cue(CueKind::Blocked, self),
            Action::Text => {
                request.cued = Some(class);
                let text = cue::text(class, &number, &self.config.domain);
                if self.cue_with_header(id, request, &text, now) {
                    cue(CueKind::Header, self);
                }
                let jid = request.caller.as_ref().and_then(|account| account.jid.clone());
                if let Some(to) = jid.filter(|_| self.config.numbers.message) {
                    let session = correlation.session;
                    self.outputs.push_back(Output::Headline(Headline { to, text, number, class, session }));
                    cue(CueKind::Message, self);
                }
            }
        }
        action
    }

    pub(crate) fn classify(&self, message: &Message) -> Classification {
        let Some(uri) = message.request_uri() else { return NO_NUMBER };
        let host = if self.config.is_us(&uri) { &self.config.domain } else { uri.host };
        self.classify_at(&uri, host)
    }

    /// What a URI would be at a host.
    fn classify_at(&self, uri: &Uri<'_>, host: &str) -> Classification {
        let scheme = match uri.scheme {
            Scheme::Sip => cusax_numbering::Scheme::Sip,
            Scheme::Sips => cusax_numbering::Scheme::Sips,
            Scheme::Tel => cusax_numbering::Scheme::Tel,
            Scheme::Other if uri.text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn:")) => {
                cusax_numbering::Scheme::Urn
            }
            Scheme::Other => return NO_NUMBER,
        };
        let user_phone = uri.params.find("user").is_some_and(|user| user.eq_ignore_ascii_case("phone"));
        self.config.numbers.classifier.classify(&Dialled {
            scheme,
            user: uri.user.unwrap_or(""),
            host,
            user_phone,
            // In a SIP URI it is a parameter of the user part; behind the host, nobody else reads it.
            phone_context: uri.params.find("phone-context").filter(|_| uri.scheme == Scheme::Tel),
        })
    }

    /// The stricter of what a caller gets for the class and for the digits as our own core would read them: many ignore
    /// the host that is named with a number.
    fn strictest(&self, message: &Message, class: NumberClass) -> (Action, NumberClass) {
        let action = |class| self.config.numbers.policy.get(&class).copied().unwrap_or(Action::Allow);
        let here = (action(class), class);
        let read = || self.classify_at(&message.request_uri()?, &self.config.domain).class;
        match read().filter(|_| class == NumberClass::ForeignDomain) {
            Some(digits) if action(digits) > here.0 => (action(digits), digits),
            _ => here,
        }
    }

    /// The user part that could be an account's, where it matters: it looks like a number, or a stranger calls.
    pub(crate) fn own_user(&self, request: &Request) -> Option<String> {
        let foreign = self.config.challenge && self.is_foreign(&request.message);
        let number = request.number.class.is_some_and(|class| class != NumberClass::Emergency);
        let uri = request.message.request_uri()?;
        let wanted = foreign || (number && request.is_initial_invite());
        (wanted && self.config.is_our_host(&uri)).then(|| uri.user_unescaped().into_owned())
    }
}

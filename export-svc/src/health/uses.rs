//! What we use keys for, and which permission each use needs. A new use is a row of the table.

use braze::Track;

use crate::deliver::shown;
use crate::feed::{Credential, Probed};

/// Something that we do at Braze with a customer's key.
pub(super) struct Use {
    /// In people's words, as the subject of a sentence.
    what: &'static str,
    /// The permission that the key needs, as Braze's dashboard spells it.
    permission: &'static str,
}

pub(super) const EXPORTS: Use = Use {
    what: "exports",
    permission: "users.track",
};

/// Each is asked about by a call that touches nobody.
pub(super) const USES: [Use; 1] = [EXPORTS];

impl Use {
    pub(super) async fn ask(&self, client: &braze::Client, credential: &Credential) -> Probed {
        let attempt = client
            .track(&credential.endpoint, &credential.key, &Track::probe())
            .await;
        self.explained(shown(&attempt))
    }

    /// With what is probably missing. Braze tells a key that it does not know from one without the permission in words alone.
    pub(super) fn explained(&self, probed: Probed) -> Probed {
        match probed {
            Probed::Refused { reason } if !reason.contains("Invalid API key") => {
                let Self { what, permission } = self;
                let reason = format!("{reason}; {what} need a key with the permission {permission}");
                Probed::Refused { reason }
            }
            other => other,
        }
    }
}

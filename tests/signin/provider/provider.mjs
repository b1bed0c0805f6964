// An OpenID Connect provider with made-up people, for the tests of the sign-in.
//
// node provider.mjs PORT REDIRECT_URI
//
// Whoever signs in as NAME (any password) has the e-mail address NAME@example.org, and the groups
// that stand after a plus sign: "ada+admins+lab" is in the groups "admins" and "lab".

import { Provider } from 'oidc-provider'

const [port, redirect] = process.argv.slice(2)
const issuer = `http://localhost:${port}`

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'vit-debugger',
      client_secret: 'secret of the tests',
      redirect_uris: [redirect],
      post_logout_redirect_uris: [redirect],
    },
  ],
  claims: {
    openid: ['sub'],
    profile: ['name', 'groups'],
    email: ['email', 'email_verified'],
  },
  // Streamlit reads the claims of the ID token alone.
  conformIdTokenClaims: false,
  cookies: { keys: ['made up for the tests'] },
  ttl: { Session: 3600, Grant: 3600, Interaction: 600, IdToken: 600, AccessToken: 600 },
  async findAccount(ctx, id) {
    const [name, ...groups] = id.split('+')
    return {
      accountId: id,
      claims: () => ({
        sub: id,
        name: name[0].toUpperCase() + name.slice(1),
        email: `${name}@example.org`,
        email_verified: true,
        groups,
      }),
    }
  },
})

provider.listen(Number(port), '127.0.0.1', () => console.log(`listening at ${issuer}`))

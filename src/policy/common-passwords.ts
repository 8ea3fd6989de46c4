// The words attackers try first as passwords, most used first. A list and nothing else.

const LIST = `
123456 password 12345678 qwerty 123456789 12345 1234 111111 1234567 dragon 123123 baseball abc123
football monkey letmein shadow master 666666 qwertyuiop 123321 mustang 1234567890 michael 654321
superman 1qaz2wsx 7777777 121212 000000 qazwsx 123qwe killer trustno1 jordan jennifer zxcvbnm asdfgh
hunter buster soccer harley batman andrew tigger sunshine iloveyou charlie robert thomas hockey ranger
daniel starwars 112233 george computer michelle jessica pepper zxcvbn 555555 11111111 131313 freedom
777777 pass maggie 159753 aaaaaa ginger princess joshua cheese amanda summer winter spring autumn love
ashley nicole chelsea matthew access yankees 987654321 dallas austin thunder taylor matrix minecraft
welcome welcome1 admin administrator root toor test guest user demo changeme changeit default secret
passw0rd password1 password123 password1234 passwort kennwort motdepasse contrasena senha parola heslo
haslo wachtwoord admin123 letmein1 qwerty123 qwerty1 1q2w3e4r 1q2w3e4r5t q1w2e3r4 zaq12wsx abcd1234
a1b2c3d4 asdf1234 google facebook internet login hello whatever flower lovely donald samsung monkey1
football1 baseball1 superman1 iloveyou1 sunshine1 princess1 dragon1 master1 shadow1 michael1 liverpool
arsenal manchester barcelona juventus realmadrid pokemon naruto spiderman ninja
correcthorsebatterystaple correct horse battery staple postmaster webmaster hostmaster mailer mailserver
mail email smtp exchange outlook gateway gatepost firewall security server system service support office
company business sales info contact january february march april june july august september october
november december monday tuesday wednesday thursday friday saturday sunday london paris berlin madrid
roma vienna newyork america canada germany france england italy spain alexander anthony benjamin brandon
christian christopher david elizabeth james john joseph justin maria mary oliver patrick peter richard
samuel sarah sophie stephanie steven victoria william
`;

/** Lower case; variants with capitals, digits and look-alikes are found by the judge. */
export const COMMON_PASSWORDS: readonly string[] = LIST.trim().split(/\s+/);

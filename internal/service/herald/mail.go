package herald

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"patchring/internal/core/alert"
	"patchring/internal/core/fault"
	"patchring/wire"
)

const sendTimeout = 20 * time.Second

// mail sends a letter by SMTP, to all of an output's addresses at once.
func (h *Herald) mail(ctx context.Context, p parcel, l Letter) *fault.Error {
	password := ""
	if p.out.Pass != "" {
		var failure *fault.Error
		if password, failure = h.secret(p.tenant, p.out.Pass); failure != nil {
			return failure
		}
	}
	message, err := h.compose(p, l)
	if err != nil {
		return fault.New(fault.OutputFailed, "step", "compose", "said", err.Error())
	}
	client, err := h.smtp(p.out, password)
	if err != nil {
		return fault.New(fault.OutputFailed, "step", "connect", "said", said(err, password))
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := client.DialWithContext(ctx); err != nil {
		return failed("connect", err, password)
	}
	if err := client.Send(message); err != nil {
		return failed("send", errors.Join(err, client.Close()), password)
	}
	if err := client.Close(); err != nil { // it was taken: that the server hangs up first changes nothing
		h.Log.Debug("close SMTP", "err", err)
	}
	return nil
}

func (h *Herald) compose(p parcel, l Letter) (*mail.Msg, error) {
	m := mail.NewMsg()
	if err := errors.Join(m.From(p.out.From), m.To(p.out.To...)); err != nil {
		return nil, err
	}
	m.SetMessageIDWithValue(p.id + "@" + h.Host) // the same when it is sent again
	m.SetDateWithValue(p.at)
	m.Subject(l.Subject)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's absence answers it
	if l.Grave {
		m.SetImportance(mail.ImportanceHigh)
	}
	m.SetBodyString(mail.TypeTextPlain, l.Text)
	m.AddAlternativeString(mail.TypeTextHTML, l.HTML)
	return m, nil
}

func (h *Herald) smtp(out alert.Output, password string) (*mail.Client, error) {
	host, portText, err := net.SplitHostPort(out.Server)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	options := []mail.Option{
		mail.WithPort(port), mail.WithTimeout(sendTimeout), mail.WithHELO(h.Host),
		mail.WithTLSConfig(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, RootCAs: h.Roots}),
	}
	switch out.TLS {
	case alert.NoTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case alert.Implicit:
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if out.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(out.User), mail.WithPassword(password))
	}
	return mail.NewClient(host, options...)
}

// failed classes what an SMTP server or the way to it said: a refusal of the
// 500s will be said again, anything else may pass.
func failed(step string, err error, secrets ...string) *fault.Error {
	f := fault.Again(fault.OutputFailed, "step", step, "said", said(err, secrets...))
	var sent *mail.SendError
	if code, ok := smtpCode(err); ok && code >= 500 || errors.As(err, &sent) && !sent.IsTemp() && sent.ErrorCode() >= 500 {
		f.Retry = fault.Terminal
	}
	var unknown *tls.CertificateVerificationError
	if errors.As(err, &unknown) {
		f.Args["step"] = "tls"
	}
	return f
}

func smtpCode(err error) (int, bool) {
	var told *textproto.Error
	if errors.As(err, &told) {
		return told.Code, true
	}
	return 0, false
}

const maxSaid = 200

// said is what the other side said, bounded, cleaned, and without any secret
// that it may have repeated.
func said(err error, secrets ...string) string { return scrub(err.Error(), secrets...) }

func scrub(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	return wire.Clean(text, maxSaid)
}

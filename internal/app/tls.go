package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/kyra-mdr/kyra/internal/config"
)

// syslogTLS returns the settings of the TLS listeners for syslog, nil where there are none.
func syslogTLS(cfg config.Syslog) (*tls.Config, error) {
	if cfg.TLS == "" && cfg.RELPTLS == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("syslog certificate: %w", err)
	}
	secure := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if cfg.ClientCA == "" {
		return secure, nil
	}
	pem, err := os.ReadFile(cfg.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("syslog.client_ca: %w", err)
	}
	secure.ClientCAs = x509.NewCertPool()
	if !secure.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("syslog.client_ca: %s holds no certificate", cfg.ClientCA)
	}
	secure.ClientAuth = tls.RequireAndVerifyClientCert
	return secure, nil
}

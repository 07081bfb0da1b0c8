package jwt_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	jwtlib "github.com/golang-jwt/jwt/v5"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/jwt"
)

// A token signed with a shared secret.
func Example() {
	cfg := jwt.DefaultConfig()
	cfg.Secret = "at least thirty-two bytes of secret"
	a, err := jwt.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := jwtlib.NewWithClaims(jwtlib.SigningMethodHS256, jwtlib.MapClaims{
		"sub": "ali", "groups": []string{"ops"}, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(cfg.Secret))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := a.Authenticate(context.Background(), &core.Login{Token: token})
	fmt.Println(p.Name, p.Groups, err)
	// Output: ali [ops] <nil>
}

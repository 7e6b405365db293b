package sphinx

// secret keeps fmt from what it holds. A Format method is not enough: fmt does not call the methods of a value in an
// unexported field of somebody's struct, and follows one pointer there. It does not follow a second.
type secret[T any] struct{ at **T }

func hide[T any](v *T) secret[T] { return secret[T]{&v} }

// get returns what was hidden, or nil for the zero secret.
func (s secret[T]) get() *T {
	if s.at == nil {
		return nil
	}
	return *s.at
}

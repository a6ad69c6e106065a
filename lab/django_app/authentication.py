"""Signing in and out, and a new password for whoever forgot the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import validate_password
from django.shortcuts import render
from django.utils.decorators import method_decorator

from lab.academy.models import Enrollment

if TYPE_CHECKING:
    from django.contrib.auth.models import User as DjangoUser
    from django.http import HttpRequest, HttpResponse

    from lab.academy.models import User

    class SignedIn(HttpRequest):
        """A request that LoginRequiredMiddleware has let through."""

        user: User


# --8<-- [start:login]
class EmailLoginForm(AuthenticationForm):
    """Ask for the address and the password."""

    def clean_username(self) -> str:
        """Write the address as ``create_user`` stores it."""
        address: str = self.cleaned_data["username"]
        return address.strip().lower()


class Login(auth_views.LoginView):
    """Sign in, then go to ``next`` or LOGIN_REDIRECT_URL."""

    authentication_form = EmailLoginForm
    template_name = "django_app/login.html"


@method_decorator(login_not_required, name="dispatch")
class Logout(auth_views.LogoutView):
    """Sign out, also when the session has ended already."""


# --8<-- [end:login]


# --8<-- [start:my_courses]
def my_courses(request: SignedIn) -> HttpResponse:
    """Show what the signed-in user takes; a teacher may take nothing."""
    enrollments = Enrollment.objects.filter(learner__user=request.user)
    return render(
        request,
        "django_app/my_courses.html",
        {"enrollments": enrollments.select_related("course")},
    )


# --8<-- [end:my_courses]


# --8<-- [start:password_reset]
class PasswordReset(auth_views.PasswordResetView):
    """Send a link to an address, if somebody here has it."""

    template_name = "django_app/password_reset_form.html"
    email_template_name = "django_app/password_reset_mail.txt"
    subject_template_name = "django_app/password_reset_subject.txt"


class PasswordResetDone(auth_views.PasswordResetDoneView):
    """Say that the mail is on its way, whether it is or not."""

    template_name = "django_app/password_reset_done.html"


class PasswordResetConfirm(auth_views.PasswordResetConfirmView):
    """Take the new password from whoever has the link."""

    template_name = "django_app/password_reset_confirm.html"


class PasswordResetComplete(auth_views.PasswordResetCompleteView):
    """Say that the new password works."""

    template_name = "django_app/password_reset_complete.html"


# --8<-- [end:password_reset]


# --8<-- [start:wrong_user]
def wrong_invite(email: str) -> DjangoUser:
    """Make a user of the class that this project does not use."""
    from django.contrib.auth.models import User

    return User.objects.create_user(email)


# --8<-- [end:wrong_user]


# --8<-- [start:wrong_password]
def wrong_sign_up(email: str, password: str) -> User:
    """Store the password as it was typed."""
    return get_user_model().objects.create(email=email, password=password)


# --8<-- [end:wrong_password]


# --8<-- [start:sign_up]
def sign_up(email: str, password: str) -> User:
    """Refuse a weak password; of any other store a salted hash."""
    users = get_user_model()
    validate_password(password, users(email=email))
    return users.objects.create_user(email=email, password=password)


# --8<-- [end:sign_up]


# --8<-- [start:wrong_login]
def wrong_login(email: str, password: str) -> str:
    """Tell everybody who asks which addresses have an account."""
    user = get_user_model().objects.filter(email=email).first()
    if user is None:
        return "There is no such account."
    if not check_password(password, user.password):
        return "The password is wrong."
    return "Welcome."


# --8<-- [end:wrong_login]

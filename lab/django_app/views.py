"""Views of the academy's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods, require_POST
from django.views.generic import CreateView, DetailView, ListView

from lab.academy.enrolling import CannotEnroll, enroll
from lab.academy.models import Course, Enrollment, Learner
from lab.django_app.forms import CourseForm, EnrollForm

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.forms import ModelForm
    from django.http import HttpRequest, HttpResponse


# --8<-- [start:courses]
@login_not_required
def course_list(request: HttpRequest) -> HttpResponse:
    """Show the published courses."""
    courses = Course.objects.filter(published=True)
    return render(request, "django_app/course_list.html", {"courses": courses})


@login_not_required
def course_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one published course with its lessons."""
    course = get_object_or_404(Course, slug=slug, published=True)
    return render(request, "django_app/course_detail.html", {"course": course})


# --8<-- [end:courses]


# --8<-- [start:classes]
@method_decorator(login_not_required, name="dispatch")
class CourseList(ListView):
    """Show the published courses."""

    queryset = Course.objects.filter(published=True)
    context_object_name = "courses"
    template_name = "django_app/course_list.html"


@method_decorator(login_not_required, name="dispatch")
class CourseDetail(DetailView):
    """Show one published course with its lessons."""

    queryset = Course.objects.filter(published=True)
    template_name = "django_app/course_detail.html"


# --8<-- [end:classes]


# --8<-- [start:catalog]
class Catalog(CourseList):
    """Show the published courses, four a page, all or those of one level."""

    paginate_by = 4
    template_name = "django_app/catalog.html"

    def get_queryset(self) -> QuerySet[Course]:
        """Return the courses of the level in the address."""
        courses = super().get_queryset()
        level = self.request.GET.get("level")
        return courses.filter(level=level) if level else courses

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        """Add the levels to choose from, and a greeting."""
        context = super().get_context_data(levels=Course.Level.choices, **more)
        if self.request.user.is_authenticated:
            context["greeting"] = f"Hello {self.request.user.first_name}"
        return context


# --8<-- [end:catalog]


# --8<-- [start:wrong_shared]
class WrongCatalog(CourseList):
    """Show the published courses, and greet who is signed in."""

    template_name = "django_app/catalog.html"
    extra_context: dict[str, Any] = {"levels": Course.Level.choices}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Note the greeting for the template."""
        if request.user.is_authenticated:
            self.extra_context["greeting"] = f"Hello {request.user.first_name}"
        return super().get(request, *args, **kwargs)


# --8<-- [end:wrong_shared]


# --8<-- [start:create]
class ProposeCourse(CreateView):
    """Take a course that somebody offers to teach; it starts as a draft."""

    form_class = CourseForm
    template_name = "django_app/form.html"
    success_url = reverse_lazy("catalog")

    def form_valid(self, form: ModelForm) -> HttpResponse:
        """Say who teaches the course, and save it."""
        form.instance.teacher = self.request.user
        return super().form_valid(form)


# --8<-- [end:create]


# --8<-- [start:wrong_leave]
def wrong_leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Give up the seat of the learner who asks, unless she has a certificate."""
    seat = get_object_or_404(
        Enrollment,
        course__slug=slug,
        learner__user=request.user,
        certificate=None,
    )
    seat.delete()
    return redirect("catalog")


# --8<-- [end:wrong_leave]


# --8<-- [start:leave]
@require_POST
def leave_course(request: HttpRequest, slug: str) -> HttpResponse:
    """Give up the seat of the learner who asks, unless she has a certificate."""
    seat = get_object_or_404(
        Enrollment,
        course__slug=slug,
        learner__user=request.user,
        certificate=None,
    )
    seat.delete()
    return redirect("catalog")


# --8<-- [end:leave]


# --8<-- [start:propose]
@require_http_methods(["GET", "HEAD", "POST"])
def propose_course(request: HttpRequest) -> HttpResponse:
    """Take a course that somebody offers to teach; it starts as a draft."""
    if request.method == "POST":
        draft = Course(teacher_id=request.user.pk)
        form = CourseForm(request.POST, instance=draft)
        if form.is_valid():
            course = form.save()
            messages.success(request, f"We will look at {course.title}.")
            return redirect("catalog")
    else:
        form = CourseForm()
    return render(request, "django_app/form.html", {"form": form})


# --8<-- [end:propose]


# --8<-- [start:enroll]
@require_http_methods(["GET", "HEAD", "POST"])
def enroll_me(request: HttpRequest) -> HttpResponse:
    """Give the learner who asks a seat in the course that she chose."""
    learner = get_object_or_404(Learner, user=request.user)
    form = EnrollForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        course = form.cleaned_data["course"]
        try:
            enroll(learner, course)
        except CannotEnroll as reason:
            form.add_error("course", f"Not possible: {reason}.")
        else:
            messages.success(request, f"You have a seat in {course.title}.")
            return redirect("catalog")
    return render(request, "django_app/form.html", {"form": form})


# --8<-- [end:enroll]

"""Who may use the add-on: an organization's admins, who see everything of it. Others are refused (403)."""

from common.permissions import HasOrgContext, is_org_admin
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.views import APIView


class IsAdmin(BasePermission):
    def has_permission(self, request, view):
        return is_org_admin(request.profile)


class Guarded(APIView):
    permission_classes = (IsAuthenticated, HasOrgContext, IsAdmin)

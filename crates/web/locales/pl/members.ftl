# Użytkownicy, konta oraz organizacja i jej ustawienia.

people-actions = Działania
people-activate = Przywróć
people-deactivate = Dezaktywuj
people-edit = Edytuj
people-remove = Usuń
people-revoke = Unieważnij
people-role = Rola
people-scope = Zakres
people-scope-full = Pełny
people-scope-read = Tylko odczyt
people-state = Stan
people-state-active = aktywne
people-state-inactive = nieaktywne
people-state-locked = czasowo zablokowane
people-state-no-password = bez hasła
people-never = nigdy
people-last-used = Ostatnie użycie
people-last-sign-in = Ostatnie logowanie
people-made-at = Utworzono
people-changed-at = Zmieniono
people-member = Użytkownik
people-views = Części strony
role-pending = Oczekuje na zatwierdzenie

members-import = Import
members-mappings = ID OpenRouter
members-unassigned = Zużycie nieprzypisane
members-accounts = Konta
members-active = Aktywni
members-inactive = Nieaktywni
members-all = Wszyscy
members-which = Którzy użytkownicy
members-count = { $n ->
    [one] { $shown } użytkownik
   *[other] { $shown } użytkowników
}
member-add = Dodaj użytkownika
member-edit = Edycja użytkownika
member-id = Identyfikator użytkownika
member-id-hint = W Open WebUI jest to id użytkownika. Później nie można go zmienić.
member-id-unfit = To nie może być id użytkownika albo jest to id zastrzeżone przez system.
member-taken = Użytkownik o tym id już istnieje.
member-source = Źródło
member-source-gateway = Brama
member-source-open-webui = Open WebUI
member-source-csv = Plik
member-source-api = Ręcznie lub API
member-source-demo = Demonstracja
member-state-active = aktywny
member-added-on = Dodano
member-added = Użytkownika dodano.
member-changed = Dane użytkownika zmieniono.
member-deactivated = Użytkownik jest teraz nieaktywny.
member-activated = Użytkownik jest znów aktywny.
member-deactivate-title = Dezaktywować: { $value }?
member-deactivate-text = Żądania użytkownika { $value } będą odrzucane w ciągu sekundy, a użytkownik przestaje zajmować miejsce. Zużycie pozostaje, a użytkownika można przywrócić.
openrouter-user = Identyfikator w OpenRouter
further-id = Dodatkowy identyfikator
empty-members = Użytkownicy pojawiają się tu przy pierwszym żądaniu. Można też zaimportować listę lub dodać użytkownika ręcznie.
empty-members-search = Żaden użytkownik nie pasuje. Wyczyść wyszukiwanie lub wybierz powyżej innych użytkowników.

import-csv-title = Import listy
import-csv-text = Jeden wiersz na użytkownika, z wierszem nagłówka. Wymagane jest tylko user_id; to, co w wierszu puste, pozostaje bez zmian. Pola rozdziela przecinek lub średnik. Lista jest przyjmowana w całości albo wcale.
import-csv-example = user_id,name,email,role,active
import-list = Lista w formacie CSV
import-missing = Użytkownicy z tego samego źródła, których nie ma na liście, stają się nieaktywni
import-take = Importuj
import-check = Tylko sprawdź
import-webui-title = Z Open WebUI
import-webui-text = Ustawienia systemu wskazują Open WebUI tej organizacji. Jego użytkownicy są przejmowani regularnie; tutaj można zrobić to od razu.
import-webui = Przejmij teraz
import-applied = Listę zaimportowano
import-checked = Tylko sprawdzono, niczego nie zmieniono
import-refused = Niczego nie zmieniono, ponieważ niektórych wierszy nie można przyjąć
import-listed = Wiersze
import-new = Nowi użytkownicy
import-changed = Zmienieni użytkownicy
import-unchanged = Użytkownicy bez zmian
import-merged = Dodatkowe id znanych użytkowników
import-deactivated = Dezaktywowani użytkownicy
import-refused-lines = Odrzucone wiersze
import-line = Wiersz
import-reason = Przyczyna
import-more = Oraz dalsze wiersze: { $value }.
import-file-unfit = Niczego nie zmieniono: lista musi mieć wiersz nagłówka z user_id, najwyżej 100 000 wierszy i 5 MiB.
import-members-unfit = Niczego nie zmieniono: pusta lista dezaktywowałaby wszystkich użytkowników, a więcej niż 100 000 nie można przyjąć.
import-not-configured = Niczego nie zmieniono: ustawienia systemu nie wskazują Open WebUI tej organizacji.

mappings-text = OpenRouter nie poznaje żadnych nazwisk ani adresów. Zna każdego użytkownika pod identyfikatorem utworzonym z jego id albo ustawionym tutaj.
mappings-search = Nazwisko lub id
mappings-count = { $n ->
    [one] { $shown } identyfikator
    [few] { $shown } identyfikatory
   *[other] { $shown } identyfikatorów
}
mapping-new = Ustaw identyfikator
mapping-hint = Puste pole: identyfikator zostanie utworzony z id użytkownika.
mapping-made = Identyfikator ustawiono.
mapping-removed = Identyfikator usunięto.
mapping-taken = Ten identyfikator ma już ktoś inny. Niczego nie zmieniono.
mapping-id-unfit = To nie może być identyfikator w OpenRouter: jest pusty, za długi lub utworzony dla innej organizacji.
mapping-remove-title = Usunąć identyfikator: { $value }?
mapping-remove-text = Kolejne żądania nie będą używać { $value }, lecz identyfikatora utworzonego z id użytkownika. Zużycie pozostaje bez zmian.
empty-mappings = Żaden identyfikator nie pasuje. Pojawiają się tu wraz z użytkownikami; można też ustawić własny poniżej.

unassigned-text = Zużycie z wybranych dni, które nie należy do żadnego użytkownika. Można je przypisać; sumy organizacji się nie zmieniają.
unassigned-search = Id użytkownika
unassigned-title = Przypisz zużycie: { $value }
unassigned-some = Użytkownikowi zostanie przypisane zużycie z okresu { $value }. To, co później zapisze się bez użytkownika, pozostanie nieprzypisane.
unassigned-whole = Użytkownikowi zostanie przypisane całe zużycie { $value }, także z innych dni, oraz późniejsze zużycie pod tym id.
unassigned-target = Identyfikator użytkownika
unassigned-assign = Przypisz
unassigned-done = Zużycie przypisano.
unassigned-target-unfit = Nie ma takiego użytkownika. Wybierz z listy.
unassigned-origin-unfit = To nie może być id użytkownika.
unassigned-wrong-state = Niczego nie zmieniono: id należy do aktywnego użytkownika lub jest dodatkowym id innego.
empty-unassigned = Całe zużycie z tych dni należy do użytkowników. Tutaj pojawi się zużycie z nierozpoznanym identyfikatorem.

account = Konto
accounts-list = Kto się loguje
accounts-search = Nazwisko lub e-mail
accounts-count = { $n ->
    [one] { $shown } konto
    [few] { $shown } konta
   *[other] { $shown } kont
}
account-new = Nowe konto
account-new-hint = Konto nie ma jeszcze hasła. Jednorazowo wyświetlany link pozwala właścicielowi zalogować się i je ustawić.
account-make = Utwórz konto i link
account-user = Identyfikator użytkownika
account-user-hint = Wymagane dla roli użytkownika, który widzi tylko własne zużycie.
account-user-unfit = Dla konta o roli użytkownika podaj id użytkownika tej organizacji.
account-link = Link jednorazowy
account-link-make = Utwórz link jednorazowy
account-link-title = Link jednorazowy dla { $value }
account-link-text = Przekaż go właścicielowi konta. Loguje jeden raz, do { $value }, i nie zostanie ponownie pokazany. Wcześniejsze linki już nie działają.
account-without-link = Konto utworzono, ale bez linku. Utwórz go w wierszu konta.
account-deactivated = Konto jest teraz nieaktywne.
account-activated = Konto jest znów aktywne.
account-deactivate-title = Dezaktywować konto { $value }?
account-deactivate-text = { $value } nie będzie mieć możliwości logowania. Sesje, linki i tokeny API konta wygasają od razu.
account-last = Niczego nie zmieniono: ostatnie aktywne konto sprzedawcy musi pozostać.
empty-accounts = Żadne konto nie pasuje. Utwórz poniżej pierwsze; właściciel otrzyma link jednorazowy.

api-token = Token API
api-tokens = Tokeny API
api-tokens-which = Które tokeny
api-tokens-valid = Ważne
api-tokens-all = Wszystkie
api-tokens-count = { $n ->
    [one] { $shown } token
    [few] { $shown } tokeny
   *[other] { $shown } tokenów
}
api-token-new = Nowy token API
api-token-name = Przeznaczenie
api-token-last-day = Ostatni dzień ważności
api-token-last-day-hint = Puste pole: działa do unieważnienia.
api-token-day-unfit = Ostatni dzień ważności nie może być wcześniejszy niż dzisiaj.
api-token-make = Utwórz token
api-token-made-title = Token API { $value }
api-token-made-text = Skopiuj go teraz, nie zostanie ponownie pokazany. Programy wysyłają go jako Authorization: Bearer.
api-token-revoked = Token unieważniono.
api-token-revoke-title = Unieważnić token { $value }?
api-token-revoke-text = Wszystko, co używa tokenu zaczynającego się od { $value }, będzie od razu odrzucane. Nie można tego cofnąć.
api-token-was-revoked = unieważniony { $value }
api-token-expired = wygasł { $value }
api-token-until = ważny do { $value }
api-token-unbounded = ważny bezterminowo
empty-api-tokens = Żaden token nie pasuje. Wyczyść wyszukiwanie lub pokaż wszystkie tokeny.
api-tokens-none-yet = Nie ma jeszcze żadnego tokenu. Programy korzystające z API sprzedawcy potrzebują tokenu; utwórz go poniżej.

organization-new = Nowa organizacja
organization-create = Utwórz organizację
organization-ready = Organizacja jest gotowa
organization-name = Nazwa
organization-id = Identyfikator
organization-id-hint = Litery, cyfry i znaki bez spacji. Puste pole: identyfikator zostanie nadany automatycznie. Później nie można go zmienić.
organization-id-unfit = To nie może być id organizacji.
organization-taken = Niczego nie utworzono: inna organizacja ma już to id lub ten klucz dostawcy.
organization-deactivate = Dezaktywacja organizacji
organization-activate = Przywrócenie organizacji
organization-deactivated = Organizacja jest teraz nieaktywna.
organization-activated = Organizacja jest znów aktywna.
organization-deactivate-title = Dezaktywować organizację { $value }?
organization-deactivate-text = Klucze bramy przestają działać w ciągu sekundy i nikt z organizacji nie może się zalogować. Klucz utworzony w OpenRouter zostaje tam wyłączony. Liczby i rozliczenia pozostają, a organizację można przywrócić.
organization-activate-text = Organizacja jest nieaktywna: jej klucze bramy są odrzucane. Po przywróceniu znów będą działać.
organization-key-left = Stan organizacji zmieniono, ale sprawdź jej klucz dostawcy: { $value }

org-state-active = aktywna
org-saved = Ustawienia zapisano.
settings-by-reseller = Te dane zmienia sprzedawca. W razie niezgodności skontaktuj się z nim.
org-markup = Narzut w procentach
org-markup-hint = Ile organizacja płaci powyżej kosztu zakupu, od tej chwili. Puste pole: obowiązuje domyślne { $value } procent.
org-markup-unfit = Podaj narzut w procentach, na przykład 30 lub 12,5, najwyżej z czterema miejscami po przecinku.
org-time-zone = Strefa czasowa
org-time-zone-hint = Nazwa IANA, na przykład Europe/Warsaw. Według niej liczą się dni i miesiące.
org-time-zone-change-hint = Nazwa IANA, na przykład Europe/Warsaw. Zaksięgowane dni zachowują swoją datę.
org-zone-unfit = Nie ma takiej strefy czasowej. Podaj nazwę IANA, na przykład Europe/Warsaw.
org-billing-email = E-mail do rozliczeń
org-billing-email-hint = Sprzedawcę i nabywcę podaje się na stronie rozliczeń organizacji.
org-day-rate = Kurs NBP dla zużycia dziennego
org-day-rate-hint = Który kurs NBP przelicza zużycie z danego dnia. Dni, które mają już kurs, zachowują go.
org-statement-rate = Kurs NBP na rozliczeniu
org-statement-rate-hint = Który kurs NBP przelicza rozliczenie, którego jeszcze nie wystawiono.
org-rate-same-day = Z danego dnia lub ostatni wcześniejszy
org-rate-before-day = Ostatni przed danym dniem
org-rate-before-period-end = Ostatni przed końcem miesiąca
org-rate-before-issue-day = Ostatni przed dniem wystawienia
org-site-url = Adres witryny dla OpenRouter
org-site-url-hint = Wysyłany jako HTTP-Referer. Puste pole: nie jest wysyłany.
org-site-unfit = Adres witryny musi zaczynać się od http:// lub https:// i mieć najwyżej 200 znaków.
org-drain = Odczytuj odpowiedź do końca, gdy klient się rozłączy

webui-title = Konfiguracja Open WebUI
webui-text = Podaj w Open WebUI te pięć ustawień jako zmienne środowiskowe i usuń inne połączenia: to, co omija bramę, nie jest mierzone.
webui-base = Adres bramy dla innych programów
webui-url = Adres bramy
webui-key = Klucz bramy
webui-forward = Przekazywanie danych użytkownika
webui-secret = Sekret podpisujący te dane
webui-configs = Oznaczanie żądań tytułów, tagów i pytań
webui-later = Open WebUI czyta adres, klucz i oznaczenia tylko przy pierwszym uruchomieniu; później zmienia się je w jego panelu administratora: Ustawienia > Połączenia. Modele widzą tylko administratorzy, dopóki ich nie udostępnią.
webui-your-key = TWÓJ-KLUCZ-BRAMY
webui-your-secret = SEKRET-PODPISU-KLUCZA
webui-keys = Limity i klucze bramy

usage-webhook-title = Webhook zużycia
usage-webhook-text = Programy, które wywołują OpenRouter z pominięciem bramy, mogą tu zgłaszać zużycie. Jeśli ustawiono sekret, każde zgłoszenie musi być nim podpisane (HMAC-SHA256 w X-Webhook-Signature).
usage-webhook-url = Adres webhooka
usage-webhook-signed = podpis wymagany
usage-webhook-unsigned = przyjmuje bez podpisu
usage-webhook-make = Utwórz sekret
usage-webhook-replace = Zastąp sekret
usage-webhook-clear = Usuń sekret
usage-webhook-secret = Sekret webhooka
usage-webhook-made-title = Sekret webhooka utworzono
usage-webhook-made-text = Skopiuj go teraz, nie zostanie ponownie pokazany. Od tej chwili zgłoszenia muszą być nim podpisane.
usage-webhook-cleared = Sekret usunięto. Zgłoszenia nie wymagają już podpisu.
usage-webhook-clear-title = Usunąć sekret webhooka organizacji { $value }?
usage-webhook-clear-text = Zgłoszenia nie będą wymagać podpisu: zużycie może zgłosić każdy, kto zna klucz dostawcy organizacji.

new-monthly-limit = Limit miesięczny w USD
new-monthly-limit-hint = W cenie klienta. Puste pole: zużycie nie jest ograniczone.
new-provider-key = Klucz dostawcy
new-provider-key-text = Klucz, którym brama wywołuje OpenRouter w imieniu tej organizacji.
new-provider-create = Utwórz klucz w OpenRouter
new-provider-create-missing = System nie ma klucza zarządzającego. Podaj go w ustawieniach, aby tworzyć klucze w OpenRouter.
new-provider-limit = Limit klucza w USD
new-provider-limit-hint = W koszcie zakupu. Puste pole: bez limitu w OpenRouter.
new-provider-reset = Limit odnawia się
new-provider-reset-never = nigdy
new-provider-reset-daily = codziennie
new-provider-reset-weekly = co tydzień
new-provider-reset-monthly = co miesiąc
new-provider-reset-unfit = Wybierz, kiedy limit się odnawia.
new-provider-paste = Użyj istniejącego klucza
new-provider-pasted = Klucz OpenRouter
new-provider-key-unfit = Wklej klucz OpenRouter, bez spacji.
new-provider-later = Dodaj klucz później
new-provider-unfit = Wybierz, skąd pochodzi klucz dostawcy.
new-provider-not-made = Niczego nie utworzono: OpenRouter odrzuca klucz zarządzający albo go brakuje. Podaj go w ustawieniach lub wybierz poniżej inny sposób.
new-provider-away = Niczego nie utworzono: OpenRouter nie utworzył klucza. Spróbuj ponownie lub dodaj klucz później.
new-gateway-key = Klucz bramy
new-first-key-text = Powstanie też klucz bramy o nazwie Open WebUI. Rozpoznaje użytkownika po podpisanej tożsamości i zostanie pokazany jeden raz, na następnej stronie.
new-first-call = Pierwsze wywołanie
new-first-call-title = Sprawdź połączenie
new-first-call-text = Lista modeli nic nie kosztuje i nie wymaga użytkownika. Zużycie pojawi się przy pierwszej rozmowie w Open WebUI.
ready-text = Organizację { $value } utworzono.
ready-once = Klucz i sekret podpisu są pokazane tylko ten jeden raz. Skopiuj je teraz.
ready-no-key = Organizację utworzono, ale bez klucza bramy: { $value } Utwórz go na stronie limitów i kluczy.
ready-no-provider-key = Nie ma jeszcze klucza dostawcy, więc jej żądania są odrzucane. Dodaj go tutaj:
ready-next = Co dalej
ready-import = Zaimportuj użytkowników
ready-accounts = Utwórz konto administratora i przekaż mu link jednorazowy
ready-limits = Ustaw limity i przejrzyj klucze
ready-settings = Przejrzyj ustawienia
ready-overview = Otwórz przegląd
